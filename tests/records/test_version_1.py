"""Records that carried n, extractor, class or layer in their metric's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.records.metrics import METRICS
from harness.records.record import read_records
from harness.records.version_1 import repeats, translated, upgraded


@pytest.mark.parametrize(
    ("name", "metric", "told"),
    [
        ("fid_mnistnet_10k", "fid", {}),
        ("fid_mnistnet_160_running", "fid", {"statistics": "running"}),
        ("kid_facesnet_2k_untrained", "kid", {"training": "none"}),
        ("is_inception_10k", "inception_score", {}),
        ("nearest_training_ratio_digitsnet_70", "nn_distance_ratio", {}),
        ("class_share_mnistnet_10k", "class_share", {}),
        ("fid_inf_mnistnet_10k", "fid_inf", {}),
        ("interpolation_largest_step_20x10", "interpolation_largest_step", {"path": "ends"}),
        ("interpolation_largest_step_spherical_2x10", "interpolation_largest_step", {"path": "spherical"}),
        ("style_shared_stroke_width_100x10", "style_shared", {"trait": "stroke_width"}),
        ("semantic_shift_control_Male_1000", "semantic_shift_control", {"attribute": "Male"}),
        ("semantic_shift_Smiling_1000", "semantic_shift", {"attribute": "Smiling"}),
        ("log_D(G(z))_e198_s600", "log_value", {"quantity": "D(G(z))", "epoch": "198", "step": "600"}),
        ("last_epoch_loss_generator", "last_epoch_mean", {"quantity": "loss_generator"}),
        ("last_epoch_share_generator_loss_above", "generator_loss_above_share", {}),
        ("last_over_first_loss", "last_over_first", {"quantity": "loss"}),
        ("epoch_time_ratio_b2048_to_b128", "epoch_time_ratio", {"batches": "2048 to 128"}),
        ("epoch_hours_lsun", "epoch_hours", {"data set": "lsun"}),
        ("same_bits_two_workers", "same_bits", {"variation": "two_workers"}),
        ("driver_memory_mb_b128", "driver_mib", {}),
        ("modes_mass_9", "modes_with_mass", {}),
        ("reader_accuracy_classes", "probe_accuracy", {}),
        ("reader_accuracy_Smiling", "probe_accuracy", {"attribute": "Smiling"}),
    ],
)
def test_names_of_then_are_metrics_of_today(name: str, metric: str, told: dict[str, str]) -> None:
    found = translated(name)
    assert found is not None
    assert (found[0].name, found[1]) == (metric, told)


@pytest.mark.parametrize("name", ["fid", "leaked_bytes", "mode_share", "test_quality", "somebody_elses"])
def test_what_has_kept_its_name_is_left_alone(name: str) -> None:
    assert translated(name) is None


def test_units_and_directions_are_those_of_today() -> None:
    old = {"metric": "class_coverage_mnistnet_10k", "unit": "of 10 classes", "better": "higher", "protocol": {"a": "b"}}
    assert upgraded(old) == {
        "metric": "class_coverage",
        "unit": "classes",
        "better": "higher",
        "protocol": {"a": "b", "classes": "10"},
    }
    calibration = {"metric": "precision", "unit": "", "better": "none", "protocol": {}}
    assert upgraded(calibration) == calibration | {"unit": METRICS["precision"].unit}


@pytest.mark.parametrize(("metric", "today"), [("rule_kept", "training_rule"), ("test_conduct", "test_conduct")])
def test_suites_and_keys_have_todays_names(metric: str, today: str) -> None:
    found = upgraded({"suite": "conduct", "metric": metric, "protocol": {"rule": "x"}})
    assert (found["suite"], found["metric"]) == ("training_rules", today)
    read = upgraded({"suite": "latent", "metric": "reader_accuracy_classes", "protocol": {"reader": "linear"}})
    assert read["protocol"] == {"probe": "linear"}


def test_the_drivers_figure_is_read_once(tmp_path: Path) -> None:
    common = {
        "suite": "memory",
        "reference": "a",
        "value": 939.0,
        "unit": "MiB",
        "better": "lower",
        "status": "measured",
        "profile": "x",
        "data": "d",
        "device": "gpu",
        "environment": "e",
        "batch_size": 128,
        "version": 1,
    }
    lines = [common | {"metric": "driver_mib"}, common | {"metric": "driver_memory_mb_b128"}]
    skipped = common | {"metric": "driver_memory_mb_b256", "value": None, "status": "skipped", "reason": "no GPU"}
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (*lines, skipped)))
    assert [(r.metric, r.status) for r in read_records(path)] == [("driver_mib", "measured"), ("driver_mib", "skipped")]
    assert [repeats(line) for line in (*lines, skipped)] == [False, True, False]
