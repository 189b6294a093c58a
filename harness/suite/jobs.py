"""The checks of a run in several processes: whoever is free takes the next unit, and one process tells of all.

A unit is what shares trainings: all checks of a reference; those of a mutant's; else those of a file. The processes are
forked from this one when everything is collected, so that none imports or collects again. What times the machine
(marked `alone`) comes afterwards, in this process, with nobody beside it; what looks at all records (`closing`) last.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from harness.records.record import Record
from harness.records.report_folder import JOBS
from harness.suite.session import Session
from harness.training.device import cpu_threads

_log = logging.getLogger(__name__)
_TOLD, _LOG, _REPORT = "told.jsonl", "log.txt", "report"
_POLL_SECONDS = 0.05


# Checks that one process does together, each with its place in the whole run.
Unit = list[tuple[int, pytest.Item]]


@dataclass
class Plan:
    """Units that any process may take; then items that this one does alone."""

    shared: list[Unit] = field(default_factory=list)
    alone: Unit = field(default_factory=list)


def plan(items: Sequence[pytest.Item]) -> Plan:
    """What can be done apart; first what takes longest: units without a reference, those of one check before all."""
    made, units = Plan(), dict[str, Unit]()
    for place, item in enumerate(items):
        if item.get_closest_marker("alone") or item.get_closest_marker("closing"):
            made.alone.append((place, item))
        else:
            units.setdefault(_key(item), []).append((place, item))
    order = sorted(units, key=lambda key: (key.startswith("subject "), len(units[key]) > 1))
    made.shared = [units[key] for key in order]
    return made


def _key(item: pytest.Item) -> str:
    given = getattr(getattr(item, "callspec", None), "params", {})
    subject = given.get("subject")
    return f"subject {subject.spec}" if subject is not None else f"{Path(item.path).stem} {given.get('of', '')}"


class Jobs:
    """One run's processes, seen from the one that tells of them.

    Args:
        session: pytest's, with everything collected.
        suite: the harness's.
        count: how many processes, this one included.
    """

    def __init__(self, session: pytest.Session, suite: Session, count: int) -> None:
        self._session, self._suite = session, suite
        self._plan = plan(session.items)
        self._count = min(count, max(1, len(self._plan.shared)))
        self._folder = suite.folder(JOBS)
        self._others: list[_Other] = []
        self._done: set[int] = set()

    def run(self) -> None:
        """Do every check, here or in another process.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        with cpu_threads(self._suite.threads):
            try:
                self._start()
                for number, unit in self._free():
                    self._do(unit)
                    self._done.add(number)
                    self._tell()
                self._wait()
            finally:
                self._end()
        self._do(self._plan.alone)

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, self._count):
            folder = self._folder / str(number)
            folder.mkdir()
            pid = os.fork()
            if pid == 0:
                self._be_another(folder)
            self._others.append(_Other(pid, folder))

    def _be_another(self, folder: Path) -> NoReturn:
        """Be one of the other processes: do units until none is free, and end without pytest's own end."""
        code, teller = 2, None
        parent = os.getppid()
        try:
            _redirect(self._session.config, folder / _LOG)
            # Refused where gradients were computed before the fork, by a user's module, say: then one process does all.
            torch.ones(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
            teller = _Teller(self._suite, self._session.config, folder)
            self._session.config.pluginmanager.register(teller, "gan-harness-teller")
            for number, unit in self._free():
                if os.getppid() != parent:
                    break
                self._do(unit)
                teller.unit_done(number)
            code = 0
        except (self._session.Failed, self._session.Interrupted, KeyboardInterrupt):
            code = 0  # the process that tells comes to the same end
        except pytest.exit.Exception as error:
            if teller is not None:
                teller.tell({"exit": str(error.msg), "returncode": error.returncode})
            code = 0
        except BaseException:  # a fault of ours: its checks are done again by the one that tells
            traceback.print_exc()
        finally:
            os._exit(code)

    def _free(self) -> Iterator[tuple[int, Unit]]:
        """The units that nobody has taken, each taken by asking for it."""
        for number, unit in enumerate(self._plan.shared):
            if _take(self._folder / f"unit-{number}"):
                yield number, unit

    def _do(self, unit: Unit) -> None:
        following = [item for _, item in unit[1:]]
        for (place, item), after in itertools.zip_longest(unit, following):
            self._suite.place = place
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            _stop_if_asked(self._session)

    def _tell(self) -> None:
        """Tell what the others have finished since."""
        for other in self._others:
            for line in other.news():
                if "exit" in line:
                    pytest.exit(line["exit"], returncode=line["returncode"])
                self._done.add(line["unit"])
                self._replay(self._plan.shared[line["unit"]], line["items"])

    def _replay(self, unit: Unit, told: list[dict[str, Any]]) -> None:
        for (place, item), content in zip(unit, told, strict=True):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for data in content["reports"]:
                report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
                if isinstance(report.longrepr, list):  # why it was skipped; JSON knows no tuples
                    report.longrepr = tuple(report.longrepr)
                item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            self._adopt(place, content)
            _stop_if_asked(self._session)

    def _adopt(self, place: int, content: dict[str, Any]) -> None:
        self._suite.place = place
        for record in content["records"]:
            self._suite.recorder.adopt(Record.from_json(record))

    def _wait(self) -> None:
        """Until every unit is done; what a process that died had taken is done here."""
        while any(other.runs() for other in self._others):
            self._tell()
            time.sleep(_POLL_SECONDS)
        self._tell()
        lost = [number for number in range(len(self._plan.shared)) if number not in self._done]
        if lost:
            checks = sum(len(self._plan.shared[number]) for number in lost)
            _log.warning("a process of this run was killed: %d checks that it had taken are done again", checks)
        for number in lost:
            self._do(self._plan.shared[number])

    def _end(self) -> None:
        """End whoever still works, and bring home what they have recorded and kept."""
        for other in self._others:
            other.kill()
            for line in other.news():  # when the run was interrupted
                unit = self._plan.shared[line["unit"]] if "unit" in line else []
                for (place, _), content in zip(unit, line.get("items", []), strict=True):
                    self._adopt(place, content)
            self._suite.bring_home(other.folder / _REPORT)
        shutil.rmtree(self._folder, ignore_errors=True)


class _Other:
    """Another process, seen from the one that tells."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self.folder = pid, folder
        self._read = 0
        self._runs = True

    def runs(self) -> bool:
        if self._runs:
            self._runs = os.waitpid(self.pid, os.WNOHANG)[0] == 0
        return self._runs

    def news(self) -> list[dict[str, Any]]:
        """The lines that are whole and haven't been read."""
        path = self.folder / _TOLD
        if not path.is_file():
            return []
        with path.open("rb") as stream:
            stream.seek(self._read)
            whole = stream.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def kill(self) -> None:
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._runs = False


class _Teller:
    """In another process: writes down what its checks report and record, a unit at a time."""

    def __init__(self, suite: Session, config: pytest.Config, folder: Path) -> None:
        self._suite, self._config = suite, config
        suite.move_to(folder / _REPORT)
        self._path = folder / _TOLD
        self._items: list[dict[str, Any]] = []
        self._recorded = 0

    def pytest_runtest_logstart(self) -> None:
        self._items.append({"reports": [], "records": []})
        self._recorded = len(self._suite.recorder.records)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._items[-1]["reports"].append(data)

    def pytest_runtest_logfinish(self) -> None:
        made = self._suite.recorder.records[self._recorded :]
        self._items[-1]["records"] = [json.loads(record.to_line()) for record in made]

    def unit_done(self, number: int) -> None:
        self.tell({"unit": number, "items": self._items})
        self._items = []

    def tell(self, content: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(json.dumps(content) + "\n")


def _stop_if_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


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
