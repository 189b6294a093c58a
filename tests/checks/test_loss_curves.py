from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from harness.checks.loss_curves import last_over_first, log_line_values, means_over_last_epoch, trends, untold_trends
from harness.records.metrics import (
    EPOCH,
    GENERATOR_LOSS_ABOVE,
    LAST_EPOCH_MEAN,
    LAST_OVER_FIRST,
    LOG_VALUE,
    QUANTITY,
    STEP,
    TREND,
    Metric,
    MetricValue,
)
from reference import LogLine, LogSchedule
from tests.toys import CARD

ROWS: list[dict[str, Any]] = [
    {"step": i + 1, "epoch": i // 3, "step_in_epoch": i % 3 + 1, "loss_generator": float(i), "loss_discriminator": 3.5}
    for i in range(6)
]


def test_log_lines_are_found_by_place_and_missing_ones_left_out() -> None:
    lines = (LogLine(1, 2, {"loss_generator": 9.0}), LogLine(7, 1, {"loss_generator": 9.0}))
    card = dataclasses.replace(CARD, log_lines=lines)
    place = {QUANTITY: "loss_generator", EPOCH: "1", STEP: "2"}
    assert log_line_values(ROWS, card) == [MetricValue(LOG_VALUE, 4.0, place)]
    from_zero = dataclasses.replace(card, log=LogSchedule(every=1, first=1, printed_from=0))
    assert log_line_values(ROWS, from_zero) == [MetricValue(LOG_VALUE, 5.0, place)]


def by_quantity(values: list[MetricValue], metric: Metric) -> dict[str, float]:
    return {found.protocol[QUANTITY]: found.value for found in values if found.metric is metric}


def test_means_run_over_the_last_epoch_only() -> None:
    found = means_over_last_epoch(ROWS, 3)
    assert by_quantity(found, LAST_EPOCH_MEAN) == {"loss_generator": pytest.approx(4.0), "loss_discriminator": 3.5}
    (above,) = (value for value in found if value.metric is not LAST_EPOCH_MEAN)
    assert above.metric is GENERATOR_LOSS_ABOVE
    assert above.value == pytest.approx(2 / 3)
    assert by_quantity(means_over_last_epoch(ROWS, 100), LAST_EPOCH_MEAN)["loss_generator"] == pytest.approx(2.5)
    assert means_over_last_epoch([], 3) == []


def test_trends_are_rank_correlations_with_time() -> None:
    def rows(values: list[float]) -> list[dict[str, float]]:
        return [{"step": i, "loss": value, "D(x)": 0.0} for i, value in enumerate(values)]

    rising = [math.sin(i) for i in range(300)] + [float(i) for i in range(1000)]
    assert by_quantity(trends(rows(rising)), TREND) == {"loss": pytest.approx(1)}
    assert by_quantity(trends(rows([-float(i) for i in range(1300)])), TREND) == {"loss": pytest.approx(-1)}
    random = np.random.default_rng(0)
    flat = [trends(rows(random.normal(size=6300).tolist()))[0].value for _ in range(8)]
    assert abs(np.mean(flat)) < 0.15
    assert trends(rows([1.0] * 700)) == [], "too short"
    assert trends(rows([1.0] * 1300)) == [], "constant: no order"
    assert trends([]) == []


def test_what_is_left_of_a_loss() -> None:
    rows = [{"step": 1, "loss": 8.0, "loss_critic": -1.0}, {"step": 2, "loss": 2.0, "loss_critic": 3.0}]
    assert last_over_first(rows) == [MetricValue(LAST_OVER_FIRST, 0.25, {QUANTITY: "loss"})]
    assert last_over_first([]) == []


def test_a_loss_without_a_trend_says_why() -> None:
    short = [{"step": i, "loss": float(i)} for i in range(100)]
    assert untold_trends(short) == {"loss": "a trend takes 800 steps, this training had 100"}
    assert untold_trends([{"step": i, "loss": 1.0} for i in range(900)]) == {"loss": "it is constant"}
    assert untold_trends([{"step": i, "loss": float(i)} for i in range(900)]) == {}
