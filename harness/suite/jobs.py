"""The checks of a run in several processes of this machine: whoever is free takes the next unit, and one tells of all.

The processes are forked from this one when everything is collected, so that none imports or collects again. What times
the machine comes afterwards, in this process, with nobody beside it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from harness.suite.journal import Journal, Tail
from harness.suite.run import Run
from harness.suite.serve import die_with_parent
from harness.suite.units import Unit
from harness.training.device import cpu_threads

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_STOPPING_SECONDS = 30.0  # that a process gets to finish a step and write a checkpoint


class Jobs:
    """The processes of a run, seen from the one that tells of them.

    Args:
        count: how many, this one included.
    """

    def __init__(self, run: Run, count: int) -> None:
        self._run, self._suite, self._session = run, run.suite, run.session
        self._count = min(count, max(1, len(run.shared)))
        self._taken = run.folder / "taken"
        self._others: list[_Other] = []

    def run(self) -> None:
        """Do every unit that is left, here or in another process.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        with cpu_threads(self._suite.threads):
            try:
                with self._suite.deadline.until_stopped():
                    self._start()
                    for unit in self._free():
                        self._run.do(unit.items)
                        self._tell()
                    self._wait()
            finally:
                self._end()
        self._run.do_alone()

    def _start(self) -> None:
        shutil.rmtree(self._taken, ignore_errors=True)
        self._taken.mkdir()
        for number in range(1, self._count):
            other = _Other(self._run.folder, number)
            if (pid := os.fork()) == 0:
                self._be_another(other)
            other.pid = pid
            self._others.append(other)

    def _be_another(self, mine: _Other) -> NoReturn:
        """Be one of the other processes: do units until none is free, and end without pytest's own end."""
        code = 2
        parent = os.getppid()
        try:
            die_with_parent()
            _redirect(self._session.config, mine.log)
            self._suite.deadline.arm()
            # Refused where gradients were computed before the fork, by a user's module, say: then one process does all.
            torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
            self._suite.recorder.writes = False
            self._session.config.pluginmanager.unregister(self._run.journal)
            journal = Journal(self._suite, self._session.config, mine.tail.path)
            self._session.config.pluginmanager.register(journal, "gan-harness-journal")
            for unit in self._free():
                if os.getppid() != parent:
                    break
                self._run.do(unit.items)
            code = 0
        except (self._session.Failed, self._session.Interrupted, KeyboardInterrupt):
            code = 0  # the process that tells comes to the same end
        except pytest.exit.Exception as error:
            mine.end.write_text(json.dumps({"message": str(error.msg), "returncode": error.returncode}))
            code = 0
        except BaseException:  # a fault of ours: its checks are done again by the one that tells
            traceback.print_exc()
        finally:
            os._exit(code)

    def _free(self) -> Iterator[Unit]:
        """The units that nobody has taken, each taken by asking for it."""
        for number, unit in enumerate(self._run.shared):
            if _take(self._taken / str(number)):
                yield unit

    def _tell(self) -> None:
        """Tell what the others have finished since."""
        for other in self._others:
            for told in other.tail.news():
                self._run.tell(told)
            if other.end.is_file():
                said = json.loads(other.end.read_text())
                pytest.exit(said["message"], returncode=said["returncode"])

    def _wait(self) -> None:
        """Until every unit is done; what a process that died had taken is done here."""
        while any(other.runs() for other in self._others):
            self._tell()
            self._suite.deadline.check()
            time.sleep(_POLL_SECONDS)
        self._tell()
        lost = self._run.left(self._run.shared)
        if lost:
            checks = sum(len(unit.items) for unit in lost)
            _log.warning("a process of this run was killed: %d checks that it had taken are done again", checks)
        for unit in lost:
            self._run.do(unit.items)

    def _end(self) -> None:
        """End whoever still works, and take what they have told since."""
        stopped = sys.exc_info()[0] is not None
        for other in self._others:
            if stopped:
                other.stop()
        for other in self._others:
            other.end_now(_STOPPING_SECONDS if stopped else 0)
            self._run.take(other.tail.news())  # when the run was interrupted
            other.log.unlink(missing_ok=True)
        shutil.rmtree(self._taken, ignore_errors=True)


class _Other:
    """Another process, seen from the one that tells."""

    def __init__(self, folder: Path, number: int) -> None:
        self.pid = 0
        self.tail = Tail(folder / f"{number}.jsonl")
        self.tail.skip()
        self.log, self.end = folder / f"{number}.txt", folder / f"{number}.end"
        self.end.unlink(missing_ok=True)
        self._runs = True

    def runs(self) -> bool:
        if self._runs:
            self._runs = os.waitpid(self.pid, os.WNOHANG)[0] == 0
        return self._runs

    def stop(self) -> None:
        """Ask it to end; a training writes a checkpoint first."""
        if self.runs():
            os.kill(self.pid, signal.SIGTERM)

    def end_now(self, patience: float) -> None:
        """End it, after so many seconds of waiting."""
        until = time.monotonic() + patience
        while self.runs() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._runs = False


def _take(mark: Path) -> bool:
    """Whether this process is the first to take what the mark stands for."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _redirect(config: pytest.Config, log: Path) -> None:
    """What this process prints goes to its own log, and what its checks print is captured apart from the others'."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    with log.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    if capture is not None:
        capture.start_global_capturing()
        capture.suspend_global_capture()
