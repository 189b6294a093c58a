"""Modes, quality, latents and training logs, from records made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.records.record import Record
from harness.reporting.quality_tables import (
    calibration_table,
    golden_table,
    latent_table,
    memorisation_table,
    modes_table,
    quality_table,
    training_table,
    watchdog_table,
)
from reference import get
from tests.records.test_record import record

CARDS = [(name, get(name).card) for name in ("mlp-gan-mnist", "idl-gan-grid")]


def row(table: pd.DataFrame, number: int = 0) -> dict[str, object]:
    return {str(name): value for name, value in table.iloc[number].items()}


def quality(
    name: str, values: Sequence[float], batch_norm: str = "batch statistics", n: int = 10_000, cls: str = ""
) -> list[Record]:
    """A record of each seed."""
    protocol = {"extractor": "mnistnet 0123", "batch norm": batch_norm} | ({"class": cls} if cls else {})
    return [
        record(
            suite="quality",
            reference="dcgan",
            metric=name,
            value=value,
            n=n,
            seed=seed,
            epochs=2.5,
            data="MNIST",
            protocol=protocol,
        )
        for seed, value in enumerate(values)
    ]


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
        "dcgan",
        "MNIST",
        "mnistnet",
        "10000",
        "2.5",
        3,
    ]


def test_the_two_uses_of_batch_norm_are_two_rows() -> None:
    table = quality_table(quality("fid", [9]) + quality("fid", [70], "running statistics"), [])
    assert table["batch norm"].tolist() == ["batch statistics", "running statistics"]
    assert table["FID"].tolist() == ["9", "70"]


def test_memorisation_has_a_table_of_its_own() -> None:
    looked = quality("nn_distance_ratio", [1.02]) + quality("copies", [0.25]) + quality("c_t", [-3.5, -4.5])
    table = memorisation_table(looked + quality("fid", [9]) + quality("fid", [8], n=200), [])
    assert len(table) == 1, "where nobody looked for copies there is no row"
    shown = row(table)
    assert shown["copies of training images"] == "0.25"
    assert shown["C_T"] == "-4 (-4.5 to -3.5)"
    assert shown["authentic"] == ""
    assert "FID" not in shown
    assert "missing" not in shown


def test_lpips_has_a_column_where_somebody_measured_it() -> None:
    assert "LPIPS between samples" not in quality_table(quality("fid", [9]), [])
    table = quality_table(quality("fid", [9]) + quality("lpips_diversity", [0.5]), [])
    assert row(table)["LPIPS between samples"] == "0.5"


def test_other_sample_counts_and_extractors_are_rows_of_their_own() -> None:
    other = [
        record(
            suite="quality", reference="dcgan", metric="fid", value=3.0, n=200, protocol={"extractor": "facesnet 4567"}
        )
    ]
    table = quality_table(quality("fid", [9]) + quality("fid", [10], n=200) + other, [])
    assert list(zip(table["extractor"], table["n"], table["FID"], strict=True)) == [
        ("mnistnet", "10000", "9"),
        ("mnistnet", "200", "10"),
        ("facesnet", "200", "3"),
    ]


def test_a_class_is_missing_by_the_median_of_its_shares() -> None:
    shares = {"0": [0.9, 0.9, 0.9], "1": [0.0, 0.0, 0.3], "2": [0.0, 0.3, 0.3], "3": [0.03, 0.02, 0.01]}
    records = [r for name, values in shares.items() for r in quality("class_share", values, cls=name)]
    assert row(quality_table(records, []))["missing"] == "1 3"
    assert row(quality_table(quality("class_share", [0.5], cls="0"), []))["missing"] == "–"


def test_missing_classes_with_long_names_are_counted() -> None:
    records = [
        r
        for name, share in (("bald, male", 1.0), ("bald, female", 0.0))
        for r in quality("class_share", [share], cls=name)
    ]
    assert row(quality_table(records, []))["missing"] == "1 of 2"


def test_what_failed_or_has_no_extractor_is_no_quality() -> None:
    failed = record(suite="quality", metric="test_quality", value=None, status="failed", reason="crashed")
    assert quality_table([failed, record(suite="quality"), record(protocol={"extractor": "x 1"})], []).empty


def test_calibration_shows_what_was_expected_beside_what_was_measured() -> None:
    drawn = record(
        suite="metrics",
        reference="calibration: two Gaussians",
        metric="fid",
        value=4.00012,
        data="",
        protocol={"expected": "4 ± 0.1"},
    )
    images = record(suite="metrics", reference="calibration: copies", metric="ratio", value=0.0, data="digits")
    assert calibration_table([drawn, images], []).to_dict("records") == [
        {
            "case": "two Gaussians",
            "metric": "fid",
            "measured": "4",
            "expected": "4 ± 0.1",
            "measured on": "drawn numbers",
        },
        {"case": "copies", "metric": "ratio", "measured": "0", "expected": "", "measured on": "digits"},
    ]


def test_modes_are_summarised_over_seeds() -> None:
    records = [
        record(metric="modes_with_mass", value=v, seed=s, n=10_000, epochs=20.0, reference="idl-gan-grid")
        for s, v in enumerate((1, 3, 2))
    ]
    (row,) = modes_table(records, CARDS).to_dict("records")
    assert row["modes with mass"] == "2 (1 to 3)"
    assert (row["seeds"], row["epochs"]) == (3, "20")


def test_where_a_training_was_best_is_a_row_of_its_own() -> None:
    end = [record(metric="modes_with_mass", value=2, seed=s, epochs=20.0, reference="toy") for s in range(2)]
    best = [
        record(
            metric="modes_with_mass", value=7, seed=s, epochs=4.0 + s, reference="toy", protocol={"training": "best"}
        )
        for s in range(2)
    ]
    table = modes_table(end + best, CARDS)
    assert list(zip(table["epochs"], table["modes with mass"], strict=True)) == [
        ("20", "2 (2 to 2)"),
        ("best: 4, 5", "7 (7 to 7)"),
    ]


def test_a_row_of_the_watchdog_is_a_training() -> None:
    def seen(metric: str, value: float, seed: int, **protocol: str) -> Record:
        given = {"suite": "training", "reference": "toy", "metric": metric, "value": value, "seed": seed}
        return record(**given, n=50, protocol=protocol)

    records = [
        seen("noticed_while_training", 1, 0, what="collapse from step 10 to the end: few", steps="10000"),
        seen("look_coverage", 0.1, 0),
        seen("look_coverage", 0.625, 0, training="best", step="4000"),
        seen("noticed_while_training", 0, 1, what="", steps="10000"),
        seen("last_epoch_mean", 0.5, 1, quantity="D(x)"),
    ]
    collapsed, large = watchdog_table(records, CARDS).to_dict("records")
    assert collapsed["covered at best"] == "0.62, step 4,000"
    assert collapsed["at the end"] == "0.10"
    assert collapsed["noticed while training"] == "collapse from step 10 to the end: few"
    assert (large["covered at best"], large["at the end"], large["noticed while training"]) == ("", "", "–")
    assert (large["steps"], large["looks"]) == ("10,000", 50)


def test_the_training_table_says_what_was_not_reached() -> None:
    records = [
        record(
            suite="training",
            reference="mlp-gan-mnist",
            metric="log_value",
            value=0.97,
            epochs=1.0,
            protocol={"quantity": "D(x)", "epoch": "0", "step": "300"},
        ),
        record(
            suite="training",
            reference="mlp-gan-mnist",
            metric="last_epoch_mean",
            value=0.9,
            epochs=1.0,
            protocol={"quantity": "D(x)"},
        ),
    ]
    rows = training_table(records, CARDS).to_dict("records")
    found = {(r["where"], r["quantity"]): (r["documented"], r["measured"]) for r in rows}
    assert found["epoch 0, step 300", "D(x)"] == ("0.98", "0.97")
    assert found["epoch 199, step 600", "D(x)"] == ("0.7", "not reached")
    assert found["mean over the last 1 of 1 epochs", "D(x)"] == ("", "0.9")


def test_before_training_is_a_row_of_its_own() -> None:
    begun = [
        record(
            suite="quality",
            reference="dcgan",
            metric="fid",
            value=300.0,
            n=10_000,
            data="MNIST",
            protocol={"extractor": "mnistnet 0123", "batch norm": "batch statistics", "training": "none"},
        )
    ]
    table = quality_table(quality("fid", [9]) + begun, [])
    assert list(zip(table["epochs"], table["FID"], strict=True)) == [("2.5", "9"), ("before training", "300")]


def test_a_kept_generator_is_a_row_and_only_what_has_moved_is_shown_twice() -> None:
    def figure(metric: str, value: float, kept: str, **protocol: str) -> Record:
        given = {"expected": kept, "extractor": "mnistnet 1"} | protocol
        return record(suite="golden", reference="golden: a", metric=metric, value=value, n=1000, protocol=given)

    records = [figure("fid", 2.5, "2.50001"), figure("kid", 0.5, "0.4"), figure("fid", 9.0, "9", statistics="running")]
    (shown,) = golden_table(records, []).to_dict("records")
    assert shown == {"generator": "a", "looked at by": "mnistnet 1", "n": 1000, "FID": "2.5", "KID": "0.5, was 0.4"}


def test_a_translation_trained_to_be_looked_at_stands_beside_its_start_and_not_in_quality() -> None:
    def error(suite: str, value: float, **more: object) -> Record:
        return record(suite=suite, metric="translation_error_ratio", value=value, unit="ratio", **more)

    seen = {"pictures": "training set"}
    records = [
        error("samples", 0.9, protocol=seen),
        error("samples", 1.0, protocol=seen | {"training": "none"}),
        error("latent", 0.4, protocol=seen, reason="checks the code alone: trained for 2 of 9 steps"),
        *quality("fid", [1.0]),
    ]
    table = latent_table(records, [])
    assert list(zip(table["metric"], table["measured"], strict=True)) == [
        ("translation_error_ratio", "0.9"),
        ("translation_error_ratio [training none]", "1"),
    ]
    assert len(quality_table(records, [])) == 1
