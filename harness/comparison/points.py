"""Reference convergence points: what a reference comes to after a training length, over seeds, kept in a baseline.

As MLPerf does for training: the trainings of the base are done once, by whoever has the time, and a candidate's few are
held against their distribution. Unlike theirs, how often that errs is measured: see the manual's page on the gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import pandas as pd

from harness.comparison.permutation import smallest_p
from harness.comparison.rule import Rule
from harness.records.record import Record
from harness.reporting.table import grouped, spread

_MOST = 50  # candidate seeds that anybody is asked for


@dataclass(frozen=True)
class Point:
    """The values of one series of a reference after one training length, by seed."""

    reference: str
    series: str
    epochs: float | None
    batch_size: int | None
    n: int | None
    data: str
    values: dict[int, float]


def points_of(records: Sequence[Record], rule: Rule | None = None) -> list[Point]:
    """The points that records hold, of the headline metrics unless a rule names others."""
    rule = rule or Rule()
    taking = [r for r in records if rule.covers(r) and r.seed is not None and r.value is not None]
    found = []
    for _, group in grouped(taking, lambda r: (r.reference, r.series, *map(str, _length(r)), str(r.n), r.data)):
        first = group[0]
        values = {r.seed: r.value for r in group if r.seed is not None and r.value is not None}
        found.append(Point(first.reference, first.series, *_length(first), first.n, first.data, values))
    return found


def at_the_candidates_length(base: Sequence[Record], candidate: Sequence[Record]) -> list[Record]:
    """Of a base with trainings of several lengths those of the candidate's, or the longest; of others all there is."""
    asked = {(r.reference, r.series): _length(r) for r in candidate if r.status == "measured"}
    there: dict[tuple[str, str], set[tuple[float | None, int | None]]] = {}
    for record in base:
        if record.status == "measured" and record.epochs is not None:
            there.setdefault((record.reference, record.series), set()).add(_length(record))
    taken = {
        key: asked[key] if asked.get(key) in lengths else max(lengths, key=lambda length: length[0] or 0)
        for key, lengths in there.items()
        if len(lengths) > 1
    }
    return [r for r in base if r.status != "measured" or _length(r) == taken.get((r.reference, r.series), _length(r))]


def merged(kept: Sequence[Record], more: Sequence[Record]) -> list[Record]:
    """Kept records with those of more seeds, or of other lengths.

    Raises:
        ValueError: a training is there already, with another value.
    """
    there = {_of_what(record): record for record in kept}
    new = []
    for record in more:
        known = there.get(_of_what(record))
        if known is None:
            new.append(record)
        elif known.value != record.value:
            raise ValueError(
                f"{record.series} of {record.reference}, seed {record.seed}, is there already as {known.value}, and is "
                f"{record.value} now: one of them is of other code, or of another machine"
            )
    return [*kept, *new]


def seeds_to_judge(stored: int, metrics: int, alpha: float) -> int:
    """The fewest seeds of a candidate with which so many metrics can tell, against so many that are stored.

    Raises:
        ValueError: no number of seeds would do.
    """
    for seeds in range(1, _MOST):
        if smallest_p(stored, seeds) <= alpha / metrics:
            return seeds
    raise ValueError(f"{stored} stored seeds can't tell of {metrics} metrics: add more with `gan-harness baseline add`")


def points_table(points: Iterable[Point]) -> pd.DataFrame:
    """A row per point: median and range, mean and spread over seeds."""
    return pd.DataFrame(
        [
            {
                "reference": p.reference,
                "measured on": p.data,
                "epochs": "–" if p.epochs is None else f"{p.epochs:.3g}",
                "batch size": "–" if p.batch_size is None else p.batch_size,
                "n": p.n,
                "metric": p.series,
                "seeds": len(p.values),
                "median (range)": spread(list(p.values.values())),
                "mean": f"{fmean(p.values.values()):.4g}",
                "standard deviation": f"{stdev(p.values.values()):.2g}" if len(p.values) > 1 else "–",
            }
            for p in points
        ]
    )


def _length(record: Record) -> tuple[float | None, int | None]:
    return record.epochs, record.batch_size


def _of_what(record: Record) -> tuple[object, ...]:
    facts = (record.suite, record.reference, record.series, record.status, record.seed, record.n, record.data)
    return (*facts, *_length(record), tuple(sorted(record.protocol.items())), record.reason)
