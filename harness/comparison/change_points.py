"""Where a series of measurements changes its level: binary segmentation with a permutation test.

A step is sought between two neighbours where the standardised difference of the means before and after is the largest;
it is one if few enough orders of the same values have a difference as large somewhere. Both sides are then looked at
again by themselves. (Scott and Knott 1974 for the segmentation; that the largest over all places is what is permuted
keeps the chance of any false step at α.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.records.arrays import Floats

STEP_ALPHA = 0.01
_ORDERS = 1999  # drawn: the smallest p is 1 in 2,000
_SEED = 0
_HAIR = 1e-9


@dataclass(frozen=True)
class ChangePoint:
    """A step: the place of the first group after it, the means of the level before and of the one after, and p."""

    place: int
    before: float
    after: float
    p: float


def change_points(groups: Sequence[Sequence[float]], alpha: float = STEP_ALPHA) -> list[ChangePoint]:
    """The steps in a series of groups of values, in their order; values of one group belong together.

    Raises:
        ValueError: a group without values, a value that isn't finite, or an α outside 0 to 1.
    """
    if any(not len(group) for group in groups) or not all(np.isfinite(v) for group in groups for v in group):
        raise ValueError("change points need groups of finite values, one at least in each")
    if not 0 < alpha < 1:
        raise ValueError(f"α must lie between 0 and 1, not {alpha}")
    places = _steps([np.asarray(group, np.float64) for group in groups], 0, alpha)
    bounds = [0, *sorted(places), len(groups)]
    levels = [
        float(np.concatenate([np.asarray(g, np.float64) for g in groups[a:b]]).mean()) for a, b in pairwise(bounds)
    ]
    return [
        ChangePoint(place, levels[number], levels[number + 1], places[place])
        for number, place in enumerate(sorted(places))
    ]


def _steps(groups: list[Floats], offset: int, alpha: float) -> dict[int, float]:
    """By place, p."""
    if len(groups) < 2:
        return {}
    values, ends = np.concatenate(groups), np.cumsum([len(group) for group in groups])[:-1]
    apart = _differences(values[None], ends)[0]
    place = int(apart.argmax())
    random = np.random.default_rng(_SEED)
    orders = random.permuted(np.broadcast_to(values, (_ORDERS, len(values))), axis=1)
    reached = (_differences(orders, ends).max(1) >= apart[place] - _HAIR).sum()
    p = float((1 + reached) / (1 + _ORDERS))
    if p > alpha:
        return {}
    cut = place + 1
    found = _steps(groups[:cut], offset, alpha) | _steps(groups[cut:], offset + cut, alpha)
    return found | {offset + cut: p}


def _differences(orders: Floats, ends: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
    """(orders, places): how far the means before and after each place lie apart, in units of their spread."""
    n = orders.shape[1]
    centred = orders - orders.mean(1, keepdims=True)
    before = centred.cumsum(1)[:, ends - 1]
    return np.asarray(np.abs(before) / np.sqrt(ends * (n - ends) / n))
