"""Records to tables: one row per thing that is compared, and nothing lost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from harness.records.record import Record
from harness.reporting.tables import TABLES, calibration_table, conduct_table, mutants_table, quality_table
from tests.records.test_record import record


def row(table: pd.DataFrame, number: int = 0) -> dict[str, object]:
    return {str(name): value for name, value in table.iloc[number].items()}


def quality(
    name: str, values: Sequence[float], batch_norm: str = "batch statistics", n: int = 10_000, cls: str = ""
) -> list[Record]:
    """A record of each seed."""
    count = f"{n // 1000}k" if n >= 1000 else str(n)
    running = "_running" if batch_norm == "running statistics" else ""
    protocol = {"extractor": "mnistnet 0123", "batch norm": batch_norm} | ({"class": cls} if cls else {})
    return [
        record(
            suite="quality", reference="dcgan", metric=f"{name}_mnistnet_{count}{running}", value=value, n=n, seed=seed,
            epochs=2.5, data="MNIST", protocol=protocol,
        )
        for seed, value in enumerate(values)
    ]  # fmt: skip


def test_quality_shows_the_median_and_the_range_over_seeds() -> None:
    records = quality("fid", [9, 7, 8]) + quality("fid_inf", [6]) + quality("share_of_0_3_8", [0.5, 0.25])
    table = quality_table(records, [])
    assert len(table) == 1
    shown = row(table)
    assert shown["FID"] == "8 (7 to 9)"
    assert shown["FID, n → ∞"] == "6"
    assert shown["share of 0, 3, 8"] == "0.375 (0.25 to 0.5)"
    assert shown["KID"] == ""
    assert [shown[name] for name in ("reference", "measured on", "extractor", "n", "epochs", "seeds")] == [
        "dcgan", "MNIST", "mnistnet", "10000", "2.5", 3,
    ]  # fmt: skip


def test_the_two_uses_of_batch_norm_are_two_rows() -> None:
    table = quality_table(quality("fid", [9]) + quality("fid", [70], "running statistics"), [])
    assert table["batch norm"].tolist() == ["batch statistics", "running statistics"]
    assert table["FID"].tolist() == ["9", "70"]


def test_other_sample_counts_and_extractors_are_rows_of_their_own() -> None:
    other = [record(suite="quality", reference="dcgan", metric="fid_digitsnet_200", value=3.0, n=200,
                    protocol={"extractor": "digitsnet 4567"})]  # fmt: skip
    table = quality_table(quality("fid", [9]) + quality("fid", [10], n=200) + other, [])
    assert list(zip(table["extractor"], table["n"], table["FID"], strict=True)) == [
        ("mnistnet", "10000", "9"), ("mnistnet", "200", "10"), ("digitsnet", "200", "3"),
    ]  # fmt: skip


def test_a_class_is_missing_by_the_median_of_its_shares() -> None:
    shares = {"0": [0.9, 0.9, 0.9], "1": [0.0, 0.0, 0.3], "2": [0.0, 0.3, 0.3], "3": [0.03, 0.02, 0.01]}
    records = [r for name, values in shares.items() for r in quality("class_share", values, cls=name)]
    assert row(quality_table(records, []))["missing"] == "1 3"
    assert row(quality_table(quality("class_share", [0.5], cls="0"), []))["missing"] == "–"


def test_missing_classes_with_long_names_are_counted() -> None:
    records = [r for name, share in (("bald, male", 1.0), ("bald, female", 0.0)) for r in
               quality("class_share", [share], cls=name)]  # fmt: skip
    assert row(quality_table(records, []))["missing"] == "1 of 2"


def test_what_failed_or_has_no_extractor_is_no_quality() -> None:
    failed = record(suite="quality", metric="test_quality", value=None, status="failed", reason="crashed")
    assert quality_table([failed, record(suite="quality"), record(protocol={"extractor": "x 1"})], []).empty


def kept(reference: str, rule: str, broken: str = "") -> Record:
    return record(suite="conduct", reference=reference, metric="rule_kept", value=float(not broken), reason=broken,
                  protocol={"rule": rule})  # fmt: skip


def test_conduct_says_kept_broken_and_how_or_not_applicable() -> None:
    skipped = record(suite="conduct", reference="b", metric="rule_kept", value=None, status="skipped", reason="dear",
                     protocol={"rule": "opposed"})  # fmt: skip
    table = conduct_table([kept("a", "trained"), kept("a", "opposed", "same way"), kept("b", "trained"), skipped], [])
    assert table.to_dict("records") == [
        {"reference": "a", "trained": "kept", "opposed": "BROKEN: same way"},
        {"reference": "b", "trained": "kept", "opposed": "–"},
    ]


def test_mutants_name_what_noticed_them_and_what_escaped() -> None:
    def made(mutant: str, value: float, suite: str, said: str) -> Record:
        return record(suite="mutants", reference="gan", metric="mutant_caught", value=value, reason=said,
                      protocol={"mutant": mutant, "what": f"{mutant}!", "suite": suite})  # fmt: skip

    table = mutants_table([made("same-noise", 1, "conduct", "alike"), made("penalty-sign", 0, "–", "")], [])
    titles = ("mutant", "applied to", "what is wrong", "noticed by", "as it should be", "what it said")
    assert [tuple(row(table, number)[title] for title in titles) for number in range(2)] == [
        ("same-noise", "gan", "same-noise!", "conduct", "yes", "alike"),
        ("penalty-sign", "gan", "penalty-sign!", "–", "NO", ""),
    ]


def test_calibration_shows_what_was_expected_beside_what_was_measured() -> None:
    drawn = record(suite="metrics", reference="calibration: two Gaussians", metric="fid", value=4.00012, data="",
                   protocol={"expected": "4 ± 0.1"})  # fmt: skip
    images = record(suite="metrics", reference="calibration: copies", metric="ratio", value=0.0, data="digits")
    assert calibration_table([drawn, images], []).to_dict("records") == [
        {"case": "two Gaussians", "metric": "fid", "measured": "4", "expected": "4 ± 0.1",
         "measured on": "drawn numbers"},
        {"case": "copies", "metric": "ratio", "measured": "0", "expected": "", "measured on": "digits"},
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in TABLES if name != "left_out"])
def test_no_records_give_an_empty_table(name: str) -> None:
    assert TABLES[name]([], []).empty
