"""A run's log, as numbers to hold against a document's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

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
