"""What the checks of a run have told, a line each, in its report: another process reads it, and a later one goes on."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.files.writing import write_text

if TYPE_CHECKING:
    import pytest

    from harness.suite.session import Session

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
        run: what tells this run, with all its parts and goings-on, from any other.
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
    run: str = ""


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
        self.places: set[int] = set()  # of the checks that this process has done
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
        try:
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(json.dumps(asdict(self._told)) + "\n")
        except OSError as error:  # a full disk: nothing that follows could be gone on with
            _end_run(f"{self._path} on {platform.node()}: {error.strerror}; what was told before is kept")
        self.places.add(self._told.place)


def _end_run(why: str) -> NoReturn:
    import pytest

    pytest.exit(f"gan-harness: {why}", returncode=2)


def _drop_what_was_cut_off(path: Path) -> None:
    """Cut a last line that a kill left half."""
    with path.open("r+b") as stream:
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)
