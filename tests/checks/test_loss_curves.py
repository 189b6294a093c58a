from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from harness.checks.loss_curves import last_over_first, log_line_values, means_over_last_epoch, trends
from reference import LogLine, LogSchedule
from tests.toys import CARD

ROWS: list[dict[str, Any]] = [
    {"step": i + 1, "epoch": i // 3, "step_in_epoch": i % 3 + 1, "loss_generator": float(i), "loss_discriminator": 3.5}
    for i in range(6)
]


def test_log_lines_are_found_by_place_and_missing_ones_left_out() -> None:
    lines = (LogLine(1, 2, {"loss_generator": 9.0}), LogLine(7, 1, {"loss_generator": 9.0}))
    card = dataclasses.replace(CARD, log_lines=lines)
    assert log_line_values(ROWS, card) == {"log_loss_generator_e1_s2": 4.0}
    from_zero = dataclasses.replace(card, log=LogSchedule(every=1, first=1, printed_from=0))
    assert log_line_values(ROWS, from_zero) == {"log_loss_generator_e1_s2": 5.0}


def test_means_run_over_the_last_epoch_only() -> None:
    means = means_over_last_epoch(ROWS, 3)
    assert means["last_epoch_loss_generator"] == pytest.approx(4.0)
    assert means["last_epoch_share_generator_loss_above"] == pytest.approx(2 / 3)
    assert set(means) == {
        "last_epoch_loss_generator", "last_epoch_loss_discriminator", "last_epoch_share_generator_loss_above",
    }  # fmt: skip
    assert means_over_last_epoch(ROWS, 100)["last_epoch_loss_generator"] == pytest.approx(2.5)
    assert means_over_last_epoch([], 3) == {}


def test_trends_are_rank_correlations_with_time() -> None:
    def rows(values: list[float]) -> list[dict[str, float]]:
        return [{"step": i, "loss": value, "D(x)": 0.0} for i, value in enumerate(values)]

    rising = [math.sin(i) for i in range(300)] + [float(i) for i in range(1000)]
    assert trends(rows(rising)) == {"trend_loss": pytest.approx(1)}
    assert trends(rows([-float(i) for i in range(1300)])) == {"trend_loss": pytest.approx(-1)}
    random = np.random.default_rng(0)
    flat = [trends(rows(random.normal(size=6300).tolist()))["trend_loss"] for _ in range(8)]
    assert abs(np.mean(flat)) < 0.15
    assert trends(rows([1.0] * 700)) == {}, "too short"
    assert trends(rows([1.0] * 1300)) == {}, "constant: no order"
    assert trends([]) == {}


def test_what_is_left_of_a_loss() -> None:
    rows = [{"step": 1, "loss": 8.0, "loss_critic": -1.0}, {"step": 2, "loss": 2.0, "loss_critic": 3.0}]
    assert last_over_first(rows) == {"last_over_first_loss": 0.25}
    assert last_over_first([]) == {}
