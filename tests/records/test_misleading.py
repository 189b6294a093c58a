"""Every measure of what a generator makes says when it misleads."""

from __future__ import annotations

from harness.records import metrics
from harness.records.metrics import METRICS
from harness.records.misleading import MISLEADS


def test_all_are_measures_with_one_line() -> None:
    for name, text in MISLEADS.items():
        assert name in METRICS
        assert text
        assert text.strip(".") == text
        assert "\n" not in text


def test_whatever_looks_at_images_or_modes_has_its_line() -> None:
    plain = {metrics.SHARE_OF_0_3_8.name, metrics.CLASS_SHARE.name}  # a share says what it is
    looked = {
        metric.name for metric in METRICS.values() if metrics.TRAINING in metric.by and metrics.STATISTICS in metric.by
    }
    assert looked - plain <= MISLEADS.keys()
