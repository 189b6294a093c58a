"""What the checks of a run have told, a line each, in its report: another process reads it, and a later one goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.files.writing import write_text
from harness.records.record import Record
from harness.suite.session import Session
from reference import source_digest

_COLLECTED = "collected.json"


@dataclass(frozen=True)
class Told:
    """What one check told: pytest's reports of it, and its records, both as JSON."""

    place: int
    reports: list[dict[str, Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Collected:
    """Which checks a run consists of, and of which code: what must be equal to go on with it.

    Attributes:
        checks: a digest of their names, in order.
        count: how many.
        closing: how many of them, the last ones, look at what all others recorded.
        shard: the part that is done, "3/8"; "" for all.
        mine: the places of the checks that belong to the shard; () for all.
        code: digests of the harness, the references and the suites.
        arguments: pytest's, as given.
    """

    checks: str
    count: int
    closing: int
    code: dict[str, str]
    arguments: tuple[str, ...]
    shard: str = ""
    mine: tuple[int, ...] = ()


def collected(items: Sequence[pytest.Item], arguments: Sequence[str]) -> Collected:
    """What a run consists of, wherever its files lie."""
    names = hashlib.sha256("\n".join(f"{Path(item.path).name} {item.name}" for item in items).encode())
    suites = hashlib.sha256()
    for path in sorted(path for folder in {Path(item.path).parent for item in items} for path in folder.glob("*.py")):
        suites.update(path.name.encode() + path.read_bytes())
    code = {name: source_digest(name) for name in ("harness", "reference")} | {"suites": suites.hexdigest()[:16]}
    closing = sum(item.get_closest_marker("closing") is not None for item in items)
    return Collected(names.hexdigest()[:16], len(items), closing, code, tuple(arguments))


def write_collected(folder: Path, what: Collected) -> None:
    """Write what `read_collected` reads."""
    write_text(folder / _COLLECTED, json.dumps(asdict(what), indent=1) + "\n")


def read_collected(folder: Path) -> Collected | None:
    """What the run consists of whose checks lie in `folder`; None where none has begun.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / _COLLECTED
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Collected(**(content | {name: tuple(content[name]) for name in ("arguments", "mine")}))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def read_told(folder: Path) -> dict[int, Told]:
    """All that was told, by place; what was cut off by a kill counts as not told.

    Raises:
        ValueError: a line that is whole and says nothing that can be understood.
    """
    found: dict[int, Told] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for told in Tail(path).news():
            found.setdefault(told.place, told)
    return found


class Tail:
    """A journal that grows, read from where it was read last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def skip(self) -> None:
        """Leave out what is there already."""
        for _ in self.news():
            pass

    def news(self) -> Iterator[Told]:
        """The lines that are whole and haven't been read."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as stream:
            stream.seek(self._read)
            whole = stream.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in whole.split(b"\n") if whole else ():
            try:
                yield Told(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise ValueError(f"{self.path} is damaged: {error}") from error


class Journal:
    """A plugin of one process: writes down what each of its checks told, when the check has ended.

    Args:
        path: the file, which goes on where it is there.
    """

    def __init__(self, suite: Session, config: pytest.Config, path: Path) -> None:
        self._suite, self._config, self._path = suite, config, path
        self.tells = True  # False while another process's checks are told again
        self._told = Told(0)
        self._recorded = 0
        if path.is_file():
            _drop_what_was_cut_off(path)

    def pytest_runtest_logstart(self) -> None:
        self._told, self._recorded = Told(self._suite.place), len(self._suite.recorder.records)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.tells:
            data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
            self._told.reports.append(data)

    def pytest_runtest_logfinish(self) -> None:
        if not self.tells:
            return
        made = self._suite.recorder.records[self._recorded :]
        self._told.records.extend(json.loads(record.to_line()) for record in made)
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(json.dumps(asdict(self._told)) + "\n")


def tell_again(told: Told, item: pytest.Item, suite: Session) -> None:
    """Report and record what a check told elsewhere, or earlier, as if it had run here."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for data in told.reports:
        report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
        if isinstance(report.longrepr, list):  # why it was skipped; JSON knows no tuples
            report.longrepr = tuple(report.longrepr)
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    adopt(told, suite)


def adopt(told: Told, suite: Session) -> None:
    """Record what a check recorded elsewhere."""
    suite.place = told.place
    for record in told.records:
        suite.recorder.adopt(Record.from_json(record))


def _drop_what_was_cut_off(path: Path) -> None:
    """Cut a last line that a kill left half."""
    with path.open("r+b") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)
