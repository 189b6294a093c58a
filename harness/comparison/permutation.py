"""The exact permutation test on the difference of two means, and the interval that belongs to it.

Under the hypothesis that a change moves every value by δ, all ways of dealing the values (the candidate's less δ) out
to the two groups are equally likely. The test counts the ways whose difference is at least as large as the one seen;
the interval holds every δ that the test doesn't reject (Fisher 1935; Pitman 1937; Garthwaite 1996 for the inversion).
Where both groups have the same seeds, each pair's difference may have been of the other sign instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.records.arrays import Floats

MAX_DEALS = 200_000  # ten against ten values have 184,756; of more than these, so many are drawn
_SEED = 0


@dataclass(frozen=True)
class Permutation:
    """What the test says.

    Attributes:
        effect: the candidate's mean less the base's.
        p: two-sided: twice the smaller tail, at most 1.
        low, high: the interval for the shift at level 1 − α; infinite when there are too few values for that level.
        exact: every deal was counted; otherwise 200,000 drawn ones, and the one seen.
    """

    effect: float
    p: float
    low: float
    high: float
    exact: bool


def permutation_test(base: Sequence[float], candidate: Sequence[float], alpha: float = 0.05) -> Permutation:
    """Hold `candidate` against `base`; the order within each plays no part.

    Raises:
        ValueError: an empty group, a value that isn't finite, or an α outside 0 to 1.
    """
    x, y = np.sort(np.asarray(base, np.float64)), np.sort(np.asarray(candidate, np.float64))
    if not len(x) or not len(y):
        raise ValueError("a permutation test needs a value on either side")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a permutation test needs finite values")
    if not 0 < alpha < 1:
        raise ValueError(f"α must lie between 0 and 1, not {alpha}")
    effect = float(y.mean() - x.mean())
    deals, exact = deals_of(len(x), len(y))
    values = np.concatenate([x, y])
    centred = values - values.mean()
    total = centred.sum()
    sums = centred[deals].sum(1)
    differences = sums / len(y) - (total - sums) / len(x)
    seen = centred[len(x) :].mean() - centred[: len(x)].mean()
    tolerance = 1e-12 * float(np.abs(centred).max())
    # The deal that was seen is one of them; among drawn ones it counts besides.
    count = len(deals) + (not exact)
    above = int((differences >= seen - tolerance).sum()) + (not exact)
    below = int((differences <= seen + tolerance).sum()) + (not exact)
    p = min(1.0, 2 * min(above, below) / count)
    low, high = _interval(deals, differences, seen, len(x), len(y), alpha, count)
    return Permutation(effect, p, low, high, exact)


def paired_test(base: Sequence[float], candidate: Sequence[float], alpha: float = 0.05) -> Permutation:
    """Hold `candidate` against `base`, value by value: those at the same place have the same seed.

    Under the hypothesis that a change moves every value by δ, each pair's difference less δ is as likely as its
    negative: all ways of turning signs are equally likely.

    Raises:
        ValueError: as `permutation_test`, or other numbers of values.
    """
    x, y = np.asarray(base, np.float64), np.asarray(candidate, np.float64)
    if len(x) != len(y) or not len(x):
        raise ValueError("a paired test needs as many values on either side, and at least one")
    if not np.isfinite([x, y]).all():
        raise ValueError("a permutation test needs finite values")
    if not 0 < alpha < 1:
        raise ValueError(f"α must lie between 0 and 1, not {alpha}")
    differences = y - x
    effect = float(differences.mean())
    turned, exact = _turns(len(x))
    sums = turned @ differences  # what turning these signs takes off the sum, halved
    tolerance = 1e-12 * float(np.abs(differences).max())
    count = len(turned) + (not exact)
    above = int((-sums >= -tolerance).sum()) + (not exact)
    below = int((-sums <= tolerance).sum()) + (not exact)
    p = min(1.0, 2 * min(above, below) / count)
    # A turn's mean reaches the one seen where δ is the mean of the differences that it turns.
    some = turned.any(1)
    turning = np.sort(sums[some] / turned[some].sum(1))
    low, high = _between(turning, alpha, count)
    return Permutation(effect, p, low, high, exact)


def smallest_p(base: int, candidate: int, *, paired: bool = False) -> float:
    """The smallest two-sided p that groups of these sizes can reach."""
    deals = 2**base if paired else math.comb(base + candidate, base)
    return min(1.0, 2 / min(deals, MAX_DEALS + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p values that hold for the whole family (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, so_far = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = so_far
    return corrected


def deals_of(n: int, m: int) -> tuple[NDArray[np.int64], bool]:
    """(deals, m): which of the n + m values go to the candidate."""
    if math.comb(n + m, m) <= MAX_DEALS:
        return np.array(list(combinations(range(n + m), m)), np.int64), True
    random = np.random.default_rng(_SEED)
    drawn = random.random((MAX_DEALS, n + m)).argpartition(m - 1, axis=1)[:, :m]
    return drawn.astype(np.int64), False


def _turns(n: int) -> tuple[NDArray[np.bool_], bool]:
    """(turns, n): whose sign is turned."""
    if 2**n <= MAX_DEALS:
        return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.bool_), True
    return np.random.default_rng(_SEED).random((MAX_DEALS, n)) < 0.5, False


def _interval(
    deals: NDArray[np.int64], differences: Floats, seen: float, n: int, m: int, alpha: float, count: int
) -> tuple[float, float]:
    """The shifts at which neither tail's p falls to α/2 or less.

    A deal's difference falls more slowly with δ than the one seen, for it holds fewer of the shifted values: it becomes
    the larger of the two from one δ on. Those turning points, sorted, are where the tails' counts change.
    """
    shifted = (deals >= n).sum(1)
    moved = shifted < m
    slope = shifted / m - (m - shifted) / n  # of the deal's difference in δ; that of the one seen is 1
    turning = np.sort((seen - differences[moved]) / (1 - slope[moved]))
    return _between(turning, alpha, count)


def _between(turning: Floats, alpha: float, count: int) -> tuple[float, float]:
    """The shifts between which neither tail's p falls to α/2 or less; each rises by one deal at a turning point."""
    # The lower tail's p at δ is (1 + turning points up to δ) / count: the first δ where it exceeds α/2.
    rank = math.floor(count * alpha / 2 + 1e-9)
    if rank < 1 or rank > len(turning):
        return -math.inf, math.inf
    return float(turning[rank - 1]), float(turning[-rank])
