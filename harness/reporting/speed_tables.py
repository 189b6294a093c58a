"""Tables of time: steps, what follows from them, and the machine meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from harness.records.metrics import (
    DOCUMENTED_RUN_MINUTES,
    IMAGES_PER_SECOND,
    NUMERICS,
    PEAK_RESERVED,
    PEAK_RSS,
    STEP_MS,
    STEP_MS_Q1,
    STEP_MS_Q3,
    THROTTLED,
    WHEN,
)
from harness.records.record import Record
from harness.reporting.table import Cards, Table

_TAKEN_BY = {"memory": "a process of its own", "speed": "pytest-benchmark"}


def speed_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """Step times and what follows from them; the price of determinism where both ways were measured."""
    documented = {
        spec: ", ".join(f"{d.minutes:g} ({d.hardware})" for d in card.durations if d.epochs == card.epochs)
        for spec, card in cards
    }
    found = [r for r in records if r.suite in ("memory", "speed") and r.status == "measured"]
    groups: dict[tuple[str, str, int | None, str, str], dict[str, Record]] = {}
    for record in found:
        key = (record.reference, record.suite, record.batch_size, record.device, record.protocol.get(NUMERICS, ""))
        groups.setdefault(key, {})[record.metric] = record
    rows = []
    for (reference, suite, batch, device, numerics), values in groups.items():
        if STEP_MS.name not in values:
            continue
        other = [g for k, g in groups.items() if k[:4] == (reference, suite, batch, device) and k[4] != numerics]
        rows.append(
            {
                "reference": reference,
                "batch": batch,
                "measured on": device,
                "numerics": numerics,
                "threads": values[STEP_MS.name].threads or "",
                "step, ms (quartiles)": _timed(values),
                "images/s": _number(values, IMAGES_PER_SECOND.name, "{:,.0f}"),
                "RAM or GPU peak, MiB": _number(values, PEAK_RSS.name, "{:,.0f}")
                or _number(values, PEAK_RESERVED.name, "{:,.0f}"),
                "documented run, minutes": documented.get(reference, ""),
                "its steps alone here, minutes": _number(values, DOCUMENTED_RUN_MINUTES.name, "{:,.1f}"),
                "time / time as documented": _price(numerics, values, other),
                "held back by": values[STEP_MS.name].reason.partition("throttled: ")[2],
                "taken by": _TAKEN_BY[suite],
            }
        )
    return pd.DataFrame(rows)


def machine_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per timed cell: the machine before the timed steps and during the last of them, and what held it back."""
    rows: dict[tuple[str, int | None, str, str], dict[str, str]] = {}
    for r in records:
        if r.suite not in ("memory", "speed") or r.value is None:
            continue
        key = (r.reference, r.batch_size, r.protocol.get(NUMERICS, ""), r.suite)
        when = r.protocol.get(WHEN)
        if when:
            row = rows.setdefault(key, {"measured on": r.device})
            row[f"{r.metric.replace('_', ' ')}, {when}"] = f"{r.value:.5g}"
            row |= {word: r.protocol[word] for word in ("driver", "governor") if word in r.protocol}
        elif r.metric == THROTTLED.name:
            rows.setdefault(key, {"measured on": r.device})["throttled"] = r.reason if r.value else "no"
    named = [
        {
            "reference": k[0],
            "batch": str(k[1]),
            "numerics": k[2],
            "taken by": _TAKEN_BY[k[3]],
            "throttled": "nobody counts it here",
            **row,
        }
        for k, row in rows.items()
    ]
    return pd.DataFrame(named).fillna("–")


def _timed(values: Mapping[str, Record]) -> str:
    middle, low, high = (_number(values, name, "{:.4g}") for name in (STEP_MS.name, STEP_MS_Q1.name, STEP_MS_Q3.name))
    return f"{middle} ({low} to {high})"


def _number(values: Mapping[str, Record], metric: str, form: str) -> str:
    record = values.get(metric)
    return "" if record is None or record.value is None else form.format(record.value)


def _price(numerics: str, values: Mapping[str, Record], other: Sequence[Mapping[str, Record]]) -> str:
    """This way of computing over the document's, where both were measured."""
    documented = [g[STEP_MS.name].value for g in other if STEP_MS.name in g]
    own = values[STEP_MS.name].value
    if numerics != "deterministic" or not documented or not documented[0] or own is None:
        return ""
    return f"{own / documented[0]:.2f}"


_TIMED = ("memory", "speed")
SPEED_TABLES = (
    Table("speed", "Time of a step", ("reference", "batch", "measured on", "numerics"), speed_table, suites=_TIMED),
    Table(
        "machine",
        "The machine while steps were timed",
        ("reference", "batch", "numerics"),
        machine_table,
        suites=_TIMED,
    ),
)
