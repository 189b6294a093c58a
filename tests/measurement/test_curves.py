from __future__ import annotations

from typing import Any

import pytest

from harness.measurement.curves import log_line_values, means_over_last_epoch
from reference import LogLine

ROWS: list[dict[str, Any]] = [
    {"step": i + 1, "epoch": i // 3, "step_in_epoch": i % 3 + 1, "loss_generator": float(i), "loss_discriminator": 3.5}
    for i in range(6)
]


def test_log_lines_are_found_by_place_and_missing_ones_left_out() -> None:
    lines = [LogLine(1, 2, {"loss_generator": 9.0}), LogLine(7, 1, {"loss_generator": 9.0})]
    assert log_line_values(ROWS, lines) == {"log_loss_generator_e1_s2": 4.0}


def test_means_run_over_the_last_epoch_only() -> None:
    means = means_over_last_epoch(ROWS, 3)
    assert means["last_epoch_loss_generator"] == pytest.approx(4.0)
    assert means["last_epoch_share_generator_loss_above"] == pytest.approx(2 / 3)
    assert set(means) == {
        "last_epoch_loss_generator", "last_epoch_loss_discriminator", "last_epoch_share_generator_loss_above",
    }  # fmt: skip
    assert means_over_last_epoch(ROWS, 100)["last_epoch_loss_generator"] == pytest.approx(2.5)
    assert means_over_last_epoch([], 3) == {}
