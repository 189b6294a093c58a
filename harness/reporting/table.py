"""A table: how its files are called, what stands over it, and the pure function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from harness.records.metrics import Metric
from harness.records.record import Record
from reference import Card

Cards = Sequence[tuple[str, Card]]


def _no_note(_: Sequence[Record], __: Cards) -> str:
    return ""


@dataclass(frozen=True)
class Table:
    """One table of a report.

    Attributes:
        name: of its files, NAME.csv and NAME.md.
        title: its heading.
        columns: those that it begins with, whatever was measured.
        make: from records and cards to cells that are ready to be read; empty where there is nothing to show.
        note: what a reader must know of it, "" for nothing.
        suites: those whose records it shows; () for the one of its name.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    make: Callable[[Sequence[Record], Cards], pd.DataFrame]
    note: Callable[[Sequence[Record], Cards], str] = _no_note
    suites: tuple[str, ...] = ()


def of_suite(records: Iterable[Record], suite: str) -> list[Record]:
    """The records of a suite that have values which can be read."""
    return [r for r in records if r.suite == suite and r.status not in ("skipped", "failed") and not r.unread]


def grouped(
    records: Iterable[Record], key: Callable[[Record], tuple[str, ...]]
) -> Iterable[tuple[tuple[str, ...], list[Record]]]:
    """The records by key, in the order in which the keys come."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups.items()


def values_of(records: Iterable[Record], metric: Metric) -> list[float]:
    """The values of one metric."""
    return [r.value for r in records if r.metric == metric.name and r.value is not None]


def spread(values: Sequence[float]) -> str:
    """The median, with the range when there are several values."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{median(values):.4g} ({min(values):.4g} to {max(values):.4g})"
