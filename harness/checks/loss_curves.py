"""A run's log, as numbers to hold against a document's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from harness.training.returned import PLACE
from reference import Card

_SETTLING, _WINDOW, _WINDOWS = 300, 100, 5  # steps, steps, windows


def logged_values(rows: Sequence[Mapping[str, Any]], card: Card, steps_per_epoch: int) -> list[MetricValue]:
    """Everything that is made of a run's log, at the document's places, over its last epoch and over time."""
    return [
        *log_line_values(rows, card),
        *means_over_last_epoch(rows, steps_per_epoch),
        *trends(rows),
        *last_over_first(rows),
    ]


def log_line_values(rows: Sequence[Mapping[str, Any]], card: Card) -> list[MetricValue]:
    """The run's values at the steps of the document's log lines, as far as it got."""
    at = {(row["epoch"], row["step_in_epoch"]): row for row in rows}
    places = [(line, (line.epoch, card.log.step_in_epoch(line))) for line in card.log_lines]
    return [
        MetricValue(LOG_VALUE, at[place][name], {QUANTITY: name, EPOCH: str(line.epoch), STEP: str(line.step)})
        for line, place in places
        if place in at
        for name in line.values
    ]


def means_over_last_epoch(rows: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> list[MetricValue]:
    """The mean of every quantity over the last `steps_per_epoch` steps, or over all if there are fewer.

    Where there are a generator's and a discriminator's loss, also the share of steps in which the generator's is the
    larger one.
    """
    last = rows[-steps_per_epoch:]
    if not last:
        return []
    means = [_of(LAST_EPOCH_MEAN, name, fmean(row[name] for row in last)) for name in last[0] if name not in PLACE]
    if {"loss_generator", "loss_discriminator"} <= last[0].keys():
        above = fmean(row["loss_generator"] > row["loss_discriminator"] for row in last)
        means.append(MetricValue(GENERATOR_LOSS_ABOVE, above))
    return means


def trends(rows: Sequence[Mapping[str, Any]]) -> list[MetricValue]:
    """Of every loss the rank correlation, with time, of its means over 100 steps.

    1 rises all the way, −1 falls, 0 neither. The first 300 steps are left out; without five windows after them there
    is no trend.
    """
    late = rows[_SETTLING:]
    count = len(late) // _WINDOW
    if count < _WINDOWS:
        return []
    from scipy.stats import spearmanr  # takes a second

    found = []
    for name in loss_names(rows):
        means = [fmean(row[name] for row in late[i * _WINDOW : (i + 1) * _WINDOW]) for i in range(count)]
        if len(set(means)) > 1:
            found.append(_of(TREND, name, float(spearmanr(range(count), means).statistic)))
    return found


def untold_trends(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The losses that have no trend, and why."""
    told = {value.protocol[QUANTITY] for value in trends(rows)}
    least = _SETTLING + _WINDOWS * _WINDOW
    why = f"a trend takes {least} steps, this training had {len(rows)}" if len(rows) < least else "it is constant"
    return {name: why for name in loss_names(rows) if name not in told}


def last_over_first(rows: Sequence[Mapping[str, Any]]) -> list[MetricValue]:
    """What is left of every loss that is positive at both ends."""
    return [
        _of(LAST_OVER_FIRST, name, rows[-1][name] / rows[0][name])
        for name in loss_names(rows)
        if rows[0][name] > 0 and rows[-1][name] > 0
    ]


def _of(metric: Metric, quantity: str, value: float) -> MetricValue:
    return MetricValue(metric, value, {QUANTITY: quantity})


def loss_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The losses among the values of a log, none of an empty one."""
    return [name for name in rows[0] if name.startswith("loss")] if rows else []


def loss_course(rows: Sequence[Mapping[str, Any]], most: int = 300) -> NDArray[Any]:
    """Every loss over time, as at most `most` points: (points,) of the fields `step` and each loss's name.

    A point is the mean over the steps since the point before, and stands at the last of them.
    """
    names = loss_names(rows)
    ends = np.unique(np.linspace(0, len(rows), min(most, len(rows)) + 1).round().astype(int)) if names else np.zeros(1)
    course = np.zeros(len(ends) - 1, [("step", np.int64), *((name, np.float64) for name in names)])
    for point, (start, end) in enumerate(itertools.pairwise(ends)):
        course[point]["step"] = rows[end - 1]["step"]
        for name in names:
            course[point][name] = fmean(row[name] for row in rows[start:end])
    return course
