"""Figures that others published (`published.csv`), beside what was measured here: a row each, and never averaged.

One name stands for many systems: WGAN-GP on CIFAR-10 has FIDs from 22 to 56 in seven places. So each has its source and
its protocol, which says what must be equal before two may be held against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from harness.records.metrics import EXTRACTOR, METRICS, MODE, STATISTICS, TRAINING
from harness.records.record import Record
from harness.reporting.table import Cards, Table, grouped, of_suite, spread

HERE = "measured here"
_SAID = ["data set", "model", "source", "protocol"]


@cache
def published_figures() -> pd.DataFrame:
    """All of them, as they are printed, "" for what isn't said; columns after the protocol are metrics by name."""
    return pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str, keep_default_na=False)


def titled(figures: pd.DataFrame) -> pd.DataFrame:
    """The same with the columns that say something, each measure by its title."""
    said = figures[[column for column in figures if column in _SAID or (figures[column] != "").any()]]
    return said.rename(columns={name: metric.title for name, metric in METRICS.items()})


def published_modes_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Published rows on the data sets on which modes were counted here, and what was counted here."""
    return _side_by_side([r for r in of_suite(records, "modes") if MODE not in r.protocol and r.data])


def published_quality_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Published rows on the data sets that Inception has looked at here, and what it saw."""
    seen = [r for r in of_suite(records, "quality") if r.protocol.get(EXTRACTOR, "").startswith("inception ")]
    return _side_by_side([r for r in seen if not {STATISTICS, TRAINING} & r.protocol.keys()])


def _side_by_side(found: Sequence[Record]) -> pd.DataFrame:
    figures = published_figures()
    parts = []
    for (data,), group in grouped(found, lambda r: (r.data,)):
        # A part of a data set, as MNIST, 5,000 of 60,000, stands beside figures on all of it, under its own name.
        theirs = figures[[data == known or data.startswith(f"{known}, ") for known in figures["data set"]]]
        if len(theirs):
            ours = grouped(group, lambda r: (r.reference, str(r.n)))
            parts += [theirs, pd.DataFrame([_own_row(data, part, list(figures.columns)) for _, part in ours])]
    return titled(pd.concat(parts, ignore_index=True)) if parts else pd.DataFrame()


def _own_row(data: str, records: Sequence[Record], columns: Sequence[str]) -> dict[str, str]:
    lengths = sorted({r.epochs for r in records if r.epochs is not None})
    how = [f"{records[0].n or 0:,} samples", f"seeds: {len({r.seed for r in records})}"]
    how += [f"epochs: {', '.join(f'{length:.3g}' for length in lengths)}"] if lengths else []
    row = dict.fromkeys(columns, "") | {"data set": data, "model": records[0].reference}
    row |= {"source": HERE, "protocol": "; ".join(how)}
    for name in columns:
        if name in METRICS:
            row[name] = spread([r.value for r in records if r.metric == name and r.value is not None])
    return row


PUBLISHED_TABLES = (
    Table(
        "published_modes",
        "Modes: what others published, and what was measured here",
        tuple(_SAID[:3]),
        published_modes_table,
        suites=("modes",),
    ),
    Table(
        "published_quality",
        "Sample quality: what others published, and what Inception saw here",
        tuple(_SAID[:3]),
        published_quality_table,
        suites=("quality",),
    ),
)
