"""A run's log, as numbers to hold against a document's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from scipy.stats import spearmanr

from reference import Card

_PLACES = ("step", "epoch", "step_in_epoch")


def log_line_values(rows: Sequence[Mapping[str, Any]], card: Card) -> dict[str, float]:
    """The run's values at the steps of the document's log lines, as far as it got: `log_D(x)_e0_s300` → 0.98."""
    at = {(row["epoch"], row["step_in_epoch"]): row for row in rows}
    places = [(line, (line.epoch, card.log.step_in_epoch(line))) for line in card.log_lines]
    return {line.metric(name): at[place][name] for line, place in places if place in at for name in line.values}


def means_over_last_epoch(rows: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> dict[str, float]:
    """The mean of every quantity over the last `steps_per_epoch` steps, or over all if there are fewer.

    Where there are a generator's and a discriminator's loss, also the share of steps in which the generator's is the
    larger one.
    """
    last = rows[-steps_per_epoch:]
    if not last:
        return {}
    means = {f"last_epoch_{name}": fmean(row[name] for row in last) for name in last[0] if name not in _PLACES}
    if {"loss_generator", "loss_discriminator"} <= last[0].keys():
        above = fmean(row["loss_generator"] > row["loss_discriminator"] for row in last)
        means["last_epoch_share_generator_loss_above"] = above
    return means


def trends(rows: Sequence[Mapping[str, Any]], settling: int = 300, window: int = 100) -> dict[str, float]:
    """`trend_NAME` of every loss: the rank correlation, with time, of its means over `window` steps.

    1 rises all the way, −1 falls, 0 neither. The first `settling` steps are left out; without five windows after them
    there is no trend.
    """
    late = rows[settling:]
    count = len(late) // window
    if count < 5:
        return {}
    found = {}
    for name in _losses(rows):
        means = [fmean(row[name] for row in late[i * window : (i + 1) * window]) for i in range(count)]
        if len(set(means)) > 1:
            found[f"trend_{name}"] = float(spearmanr(range(count), means).statistic)
    return found


def last_over_first(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`last_over_first_NAME` of every loss that is positive at both ends: what is left of it."""
    return {
        f"last_over_first_{name}": rows[-1][name] / rows[0][name]
        for name in _losses(rows)
        if rows[0][name] > 0 and rows[-1][name] > 0
    }


def _losses(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in rows[0] if name.startswith("loss")] if rows else []
