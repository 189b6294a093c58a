"""Tables of what must hold: bits, shapes, rules of training, mutants, the device."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.records.metrics import (
    CHECK,
    DEVICE_CHECK,
    INITIAL_VALUE_MISMATCHES,
    LAYER_MISMATCHES,
    MUTANT,
    NETWORK,
    NOTICED_BY,
    NUMERICS,
    OPTIMIZER_MISMATCHES,
    PARAMETERS,
    PRINTED_TEXT,
    REFUSAL_MISMATCHES,
    RULE,
    STEPS,
    THREADS,
    VARIATION,
    WHAT,
)
from harness.records.record import Record
from harness.reporting.table import Cards, Table, grouped, of_suite

_VARIATIONS = {
    "again": "again",
    "fresh_process": "fresh process",
    "two_workers": "2 workers",
    "more_logging": "more logging",
    "killed_and_resumed": "killed, resumed",
    "other_seed": "other seed differs",
}
_SHAPES = (
    PARAMETERS,
    LAYER_MISMATCHES,
    INITIAL_VALUE_MISMATCHES,
    OPTIMIZER_MISMATCHES,
    PRINTED_TEXT,
    REFUSAL_MISMATCHES,
)


def determinism_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and numerics: for each variation `same`, or the first difference."""
    rows = []
    for (reference, numerics), group in grouped(
        of_suite(records, "determinism"), lambda r: (r.reference, r.protocol.get(NUMERICS, ""))
    ):
        first = group[0]
        row = {
            "reference": reference,
            "numerics": numerics,
            "data": first.data,
            "steps": first.protocol.get(STEPS, ""),
            "batch": first.batch_size,
            "threads": first.protocol.get(THREADS, ""),
        }
        for variation, title in _VARIATIONS.items():
            row[title] = "; ".join(_yes_or_reason(r) for r in group if r.protocol[VARIATION] == variation)
        rows.append(row)
    return pd.DataFrame(rows)


def shapes_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per reference and network: parameters beside the document's, and the mismatches of every check."""
    documented = dict(cards)
    rows = []
    for (reference, role), group in grouped(
        [r for r in of_suite(records, "shapes") if r.protocol.get(NETWORK)],
        lambda r: (r.reference, r.protocol[NETWORK]),
    ):
        card = documented[reference].networks.get(role) if reference in documented else None
        row: dict[str, object] = {"reference": reference, "network": role}
        row["layers"] = len(card.layers) if card else ""
        row["parameters, documented"] = card.parameters if card else ""
        for metric in _SHAPES:
            row[metric.title] = "; ".join(_plain(r) for r in group if r.metric == metric.name)
        row["batches"] = ", ".join(
            str(r.batch_size) for r in group if r.metric == LAYER_MISMATCHES.name and r.batch_size
        )
        rows.append(row)
    return pd.DataFrame(rows)


def training_rules_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference, a column per rule: kept, broken with how, or not applicable."""
    rows = []
    for (reference,), group in grouped(of_suite(records, "training_rules"), lambda r: (r.reference,)):
        kept = {r.protocol[RULE]: "kept" if r.value == 1 else f"BROKEN: {r.reason}" for r in group}
        rows.append({"reference": reference, **kept})
    return pd.DataFrame(rows).fillna("–")


def mutants_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per mutant: what is broken, which suite noticed first, what it said; controls have nothing to notice."""
    return pd.DataFrame(
        [
            {
                "mutant": r.protocol[MUTANT],
                "applied to": r.reference,
                "what is wrong": r.protocol[WHAT],
                "noticed by": r.protocol[NOTICED_BY],
                "as it should be": "yes" if r.value == 1 else "NO",
                "what it said": r.reason,
            }
            for r in of_suite(records, "mutants")
        ]
    )


def device_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and numerics, and one for the device itself: what every other figure of it stands on."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for r in records:
        if r.suite != "device" or r.value is None:
            continue
        row = rows.setdefault((r.reference, r.protocol.get(NUMERICS, "")), {"measured on": r.device})
        if r.metric == DEVICE_CHECK.name:
            row[r.protocol[CHECK]] = "yes" if r.value == 1 else f"NO: {r.reason}"
        else:
            row[r.metric.replace("_", " ")] = f"{r.value:.5g}"
    named = [{"reference": reference, "numerics": numerics, **row} for (reference, numerics), row in rows.items()]
    return pd.DataFrame(named).fillna("–")


def _yes_or_reason(record: Record) -> str:
    return "yes" if record.value == 1 else f"NO: {record.reason}"


def _plain(record: Record) -> str:
    if record.unit == "yes/no":
        return "yes" if record.value == 1 else "no"
    return f"{record.value:g}" if record.value is not None and record.value < 1e4 else f"{record.value:.0f}"


CHECK_TABLES = (
    Table("determinism", "Determinism: the same seed, the same bits", ("reference", "numerics"), determinism_table),
    Table("shapes", "Shapes, sizes and initial values", ("reference", "network"), shapes_table),
    Table("training_rules", "Training rules: what every GAN's step keeps", ("reference",), training_rules_table),
    Table(
        "mutants",
        "Mutants: GAN code broken on purpose, and which suite notices",
        ("mutant", "applied to"),
        mutants_table,
    ),
    Table(
        "device",
        "The device: what every other figure of it stands on",
        ("reference", "numerics", "measured on"),
        device_table,
    ),
)
