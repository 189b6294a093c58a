"""One measured value with everything that is needed to read it: a line of `records.jsonl`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from harness.records.metrics import Better, Metric, series
from harness.records.version_1 import repeats, upgraded

Status = Literal["measured", "estimated", "simulated", "documented", "skipped", "failed"]
RECORD_VERSION = 2
UNREAD = "checks the code alone: "  # how the reason of a value begins that tables don't show


@dataclass(frozen=True)
class Record:
    """One value.

    `status` says how the value came about, `reason` why there is none (or what a reader must know of it). `epochs` is
    the training length behind it, `threads` how many CPU threads it was trained or timed with. `protocol` holds
    everything else that decides whether two values may be compared; values of different protocols are not comparable.
    `environment` is the fingerprint of an entry in `environment.json` beside the records. `headline` marks the few
    metrics that a gate tests unless told otherwise: each more costs seeds. `version` is that of this form.

    Raises:
        ValueError: another version, an unknown status or direction, or a status that needs a value or a reason and
            lacks it.
    """

    suite: str
    reference: str
    metric: str
    value: float | None
    unit: str
    better: Better
    status: Status
    profile: str
    data: str
    device: str
    environment: str
    n: int | None = None
    seed: int | None = None
    batch_size: int | None = None
    epochs: float | None = None
    threads: int | None = None
    real_data: bool = True
    reason: str = ""
    headline: bool = False
    protocol: Mapping[str, str] = field(default_factory=dict)
    version: int = RECORD_VERSION
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        if self.version != RECORD_VERSION:
            raise ValueError(f"written as version {self.version} of records, this is version {RECORD_VERSION}")
        if self.status not in get_args(Status):
            raise ValueError(f"unknown status {self.status!r}; there are: {', '.join(get_args(Status))}")
        if self.better not in get_args(Better):
            raise ValueError(f"unknown direction {self.better!r}; there are: {', '.join(get_args(Better))}")
        if self.status in ("skipped", "failed"):
            if not self.reason:
                raise ValueError(f"a {self.status} record needs a reason: {self.metric} of {self.reference}")
        elif self.value is None:
            raise ValueError(f"a {self.status} record needs a value: {self.metric} of {self.reference}")

    @property
    def unread(self) -> bool:
        """Whether it is a value from which nothing can be read, but whether another run gives the same one."""
        return self.reason.startswith(UNREAD)

    @cached_property  # a page asks for it a hundred times
    def series(self) -> str:
        """What the value is one of: its metric, and what tells it from others of its reference."""
        return series(self.metric, self.protocol)

    def to_line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """The record of a parsed line; one of version 1 in the words of today.

        Raises:
            ValueError: a key that records don't have, or one that they need is missing.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"not a record: an object is, not {values!r}")
        if values.get("version", 1) == 1:
            values = upgraded(values) | {"version": RECORD_VERSION}
        try:
            record = cls(**values)
            whole = (record.n, record.seed, record.batch_size, record.threads)
            if not (isinstance(record.value, int | float | None) and isinstance(record.protocol, dict)):
                raise TypeError("its value must be a number or null, its protocol an object")
            if not all(isinstance(number, int | None) for number in whole):
                raise TypeError("n, seed, batch_size and threads must be whole numbers or null")
            return record
        except TypeError as error:
            raise ValueError(f"not a record: {error}") from error


def is_headline(metric: Metric, protocol: Mapping[str, str]) -> bool:
    """Whether a gate tests a value unless told otherwise: of a headline metric, and none of its further series."""
    return metric.headline and not any(key in protocol for key in metric.by)


def append_record(path: Path, record: Record) -> None:
    """Add one line, on disk before this returns to the caller's next step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(record.to_line() + "\n")


def read_records(path: Path) -> list[Record]:
    """Every record in `path`.

    Raises:
        ValueError: no such file, or a line that isn't a record, with its number.
    """
    if not path.is_file():
        raise ValueError(f"{path} isn't there: run `gan-harness suites` first, or name the folder of an earlier run")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} isn't a file of records: {error}") from error
    if text and not text.endswith("\n"):
        raise ValueError(f"{path}, line {text.count(chr(10)) + 1} is cut off: whoever wrote it was interrupted")
    records = []
    # Not splitlines: it also cuts at characters that a reason may hold.
    for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
        try:
            values = json.loads(line)
            if not (isinstance(values, dict) and repeats(values)):
                records.append(Record.from_json(values))
        except (json.JSONDecodeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return records
