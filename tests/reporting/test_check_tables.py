"""What must hold, as tables, from records made by hand."""

from __future__ import annotations

import pandas as pd

from harness.records.record import Record
from harness.reporting.check_tables import determinism_table, mutants_table, shapes_table, training_rules_table
from reference import get
from tests.records.test_record import record

CARDS = [("mlp-gan-mnist", get("mlp-gan-mnist").card)]


def row(table: pd.DataFrame, number: int = 0) -> dict[str, object]:
    return {str(name): value for name, value in table.iloc[number].items()}


def kept(reference: str, rule: str, broken: str = "") -> Record:
    return record(
        suite="training_rules",
        reference=reference,
        metric="training_rule",
        value=float(not broken),
        reason=broken,
        protocol={"rule": rule},
    )


def test_training_rules_say_kept_broken_and_how_or_not_applicable() -> None:
    skipped = record(
        suite="training_rules",
        reference="b",
        metric="training_rule",
        value=None,
        status="skipped",
        reason="dear",
        protocol={"rule": "opposed"},
    )
    table = training_rules_table(
        [kept("a", "trained"), kept("a", "opposed", "same way"), kept("b", "trained"), skipped], []
    )
    assert table.to_dict("records") == [
        {"reference": "a", "trained": "kept", "opposed": "BROKEN: same way"},
        {"reference": "b", "trained": "kept", "opposed": "–"},
    ]


def test_mutants_name_what_noticed_them_and_what_escaped() -> None:
    def made(mutant: str, value: float, suite: str, said: str) -> Record:
        return record(
            suite="mutants",
            reference="gan",
            metric="mutant_caught",
            value=value,
            reason=said,
            protocol={"mutant": mutant, "what": f"{mutant}!", "suite": suite},
        )

    table = mutants_table([made("same-noise", 1, "training_rules", "alike"), made("penalty-sign", 0, "–", "")], [])
    titles = ("mutant", "applied to", "what is wrong", "noticed by", "as it should be", "what it said")
    assert [tuple(row(table, number)[title] for title in titles) for number in range(2)] == [
        ("same-noise", "gan", "same-noise!", "training_rules", "yes", "alike"),
        ("penalty-sign", "gan", "penalty-sign!", "–", "NO", ""),
    ]


def test_determinism_shows_the_first_difference() -> None:
    def varied(variation: str, value: float, reason: str = "") -> Record:
        protocol = {"numerics": "deterministic", "steps": "4", "variation": variation}
        return record(suite="determinism", metric="same_bits", value=value, reason=reason, protocol=protocol)

    records = [varied("again", 1.0), varied("two_workers", 0.0, "step 2: network/generator/w")]
    (row,) = determinism_table(records, CARDS).to_dict("records")
    assert row["again"] == "yes"
    assert row["2 workers"] == "NO: step 2: network/generator/w"


def test_shapes_stand_beside_the_documents() -> None:
    common = {"suite": "shapes", "protocol": {"network": "generator"}, "reference": "mlp-gan-mnist"}
    records = [
        record(metric="parameters", value=283_920, unit="parameters", **common),
        record(metric="layer_mismatches", value=2, unit="layers", batch_size=3, **common),
    ]
    (row,) = shapes_table(records, CARDS).to_dict("records")
    assert row["parameters, measured"] == "283920"
    assert row["parameters, documented"] == 283_920
    assert row["wrong layer shapes"] == "2"
