"""The checks of a run in several processes: whoever is free takes the next unit, and one process tells of all.

The processes are forked from this one when everything is collected, so that none imports or collects again. What times
the machine comes afterwards, in this process, with nobody beside it; what looks at all records last.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from harness.records.report_folder import CHECKS
from harness.suite.costs import operations
from harness.suite.journal import (
    Collected,
    Journal,
    Tail,
    Told,
    adopt,
    collected,
    read_collected,
    read_told,
    tell_again,
    write_collected,
)
from harness.suite.session import Session
from harness.suite.shards import dealt
from harness.suite.units import Placed, Unit, plan
from harness.training.device import cpu_threads

_log = logging.getLogger(__name__)
_TAKEN = "taken"
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
_POLL_SECONDS = 0.05
_STOPPING_SECONDS = 30.0  # that a process gets to finish a step and write a checkpoint


class Jobs:
    """One run's processes, seen from the one that tells of them.

    Args:
        session: pytest's, with everything collected.
        suite: the harness's.
        count: how many processes, this one included.

    Attributes:
        total: how many checks there are, with those that an earlier run has done.

    Raises:
        ValueError: `--resume`, and what is there is the run of other checks or of other code.
    """

    def __init__(self, session: pytest.Session, suite: Session, count: int) -> None:
        self._session, self._suite = session, suite
        planned = plan(session.items, by_seed=suite.profile.trains_long)
        mine, closing = [*planned.shared, *planned.alone], planned.closing
        now = collected(session.items, session.config.invocation_params.args)
        if (shard := suite.settings.shard) is not None:
            mine = [mine[index] for index in dealt([operations(u.items) for u in mine], shard.count)[shard.number - 1]]
            places = tuple(sorted(place for unit in mine for place, _ in unit.items))
            now, closing = replace(now, shard=str(shard), mine=places), []  # of a part nothing is said as a whole
        self.total = sum(len(unit.items) for unit in mine) + len(closing)
        self._folder = suite.folder(CHECKS)
        self._taken = self._folder / _TAKEN
        self._told = self._earlier(now)
        left = [unit for whole in mine if (unit := whole.without(self._told)).items]
        self._shared, self._alone = ([unit for unit in left if unit.alone is alone] for alone in (False, True))
        if suite.profile.trains_long:
            self._shared.sort(key=lambda unit: -operations(unit.items))
        self._closing = [(place, item) for place, item in closing if place not in self._told]
        self._count = min(count, max(1, len(self._shared)))
        self._journal = Journal(suite, session.config, self._folder / "0.jsonl")
        self._others: list[_Other] = []

    def _earlier(self, now: Collected) -> dict[int, Told]:
        """What an interrupted run has told that this one goes on with; nothing for a new one."""
        before = read_collected(self._folder) if self._suite.settings.resume else None
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._taken, ignore_errors=True)
        self._taken.mkdir()
        if before is None:
            write_collected(self._folder, now)
            return {}
        changed = [name for name, digest in now.code.items() if before.code.get(name) != digest]
        why = ""
        if changed:
            why = f"the code of {', '.join(changed)} has changed since"
        elif before.shard != now.shard:
            why = f"shard {before.shard} lies there" if before.shard else "a whole run lies there"
        elif (before.checks, before.mine) != (now.checks, now.mine):
            why = f"it has {before.count} checks, of `{' '.join(before.arguments)}`; asked was for {now.count} others"
        if why:
            raise ValueError(f"{self._suite.settings.report_dir} can't be gone on with: {why}")
        return read_told(self._folder)

    def run(self) -> None:
        """Do every check that hasn't been done, here or in another process.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        for place, told in sorted(self._told.items()):
            tell_again(told, self._session.items[place], self._suite)
        self._session.config.pluginmanager.register(self._journal, "gan-harness-journal")
        with cpu_threads(self._suite.threads):
            try:
                self._start()
                for unit in self._free():
                    self._do(unit.items)
                    self._tell()
                self._wait()
            except BaseException:
                self._suite.deadline.disarm()  # stopping isn't interrupted
                raise
            finally:
                self._end()
        for unit in self._alone:
            self._do(unit.items)
        self._do(self._closing)

    def _start(self) -> None:
        for number in range(1, self._count):
            other = _Other(self._folder, number)
            if (pid := os.fork()) == 0:
                self._be_another(other)
            other.pid = pid
            self._others.append(other)

    def _be_another(self, mine: _Other) -> NoReturn:
        """Be one of the other processes: do units until none is free, and end without pytest's own end."""
        code = 2
        parent = os.getppid()
        try:
            _die_with_parent()
            _redirect(self._session.config, mine.log)
            self._suite.deadline.arm()
            # Refused where gradients were computed before the fork, by a user's module, say: then one process does all.
            torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
            self._suite.recorder.writes = False
            self._session.config.pluginmanager.unregister(self._journal)
            journal = Journal(self._suite, self._session.config, mine.tail.path)
            self._session.config.pluginmanager.register(journal, "gan-harness-journal")
            for unit in self._free():
                if os.getppid() != parent:
                    break
                self._do(unit.items)
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
        for number, unit in enumerate(self._shared):
            if _take(self._taken / str(number)):
                yield unit

    def _do(self, items: Placed) -> None:
        following = [item for _, item in items[1:]]
        for (place, item), after in itertools.zip_longest(items, following):
            self._suite.place = place
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            self._told[place] = Told(place)
            _stop_if_asked(self._session)
            self._suite.deadline.check()

    def _tell(self) -> None:
        """Tell what the others have finished since."""
        for other in self._others:
            for told in other.tail.news():
                self._told[told.place] = told
                self._journal.tells = False
                tell_again(told, self._session.items[told.place], self._suite)
                self._journal.tells = True
                _stop_if_asked(self._session)
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
        lost = [left for unit in self._shared if (left := unit.without(self._told)).items]
        if lost:
            checks = sum(len(unit.items) for unit in lost)
            _log.warning("a process of this run was killed: %d checks that it had taken are done again", checks)
        for unit in lost:
            self._do(unit.items)

    def _end(self) -> None:
        """End whoever still works, and take what they have told since."""
        stopped = sys.exc_info()[0] is not None
        for other in self._others:
            if stopped:
                other.stop()
        for other in self._others:
            other.end_now(_STOPPING_SECONDS if stopped else 0)
            for told in other.tail.news():  # when the run was interrupted
                adopt(told, self._suite)
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


def _stop_if_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def _die_with_parent() -> None:
    """A kill of the process that tells ends this one too, on Linux; elsewhere it ends after its unit."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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
