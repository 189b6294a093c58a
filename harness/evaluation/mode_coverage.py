"""Mode coverage on a mixture of equal, round Gaussians in the plane, and on stacked MNIST.

A sample is of high quality when it lies within three standard deviations of a centre. In two dimensions that holds
for 1 − exp(−9/2) = 98.89 % of the true distribution's samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import rel_entr
from torch import Tensor

from harness.data.stacked import MODES, mode_number
from harness.records.arrays import Floats
from harness.records.metrics import (
    HIGH_QUALITY,
    MODE,
    MODE_SHARE,
    MODE_SPREAD,
    MODES_CAPTURED,
    MODES_WITH_MASS,
    REVERSE_KL,
    SPREAD_RATIO,
    MetricValue,
)
from reference import Modes

MODE_COVERAGE = (MODES_CAPTURED, MODES_WITH_MASS, HIGH_QUALITY, REVERSE_KL, SPREAD_RATIO, MODE_SHARE, MODE_SPREAD)
NO_GOOD_SAMPLES = "no mode has enough high-quality samples"  # why a value isn't a number
RADIUS = 3.0
TRUE_HIGH_QUALITY = 1 - math.exp(-(RADIUS**2) / 2)
# The true distribution's spread per axis, among its high-quality samples, in units of σ: cutting a round Gaussian at
# r multiplies its variance by 1 − (r²/2)·exp(−r²/2) / (1 − exp(−r²/2)).
_CUT_SPREAD = math.sqrt(1 - RADIUS**2 / 2 * (1 - TRUE_HIGH_QUALITY) / TRUE_HIGH_QUALITY)


@dataclass(frozen=True)
class ModeCoverage:
    """What n samples say of a mixture with k modes.

    Attributes:
        counts: (k,) high-quality samples per mode.
        spreads: (k,) standard deviation per axis of each mode's high-quality samples, about their own mean, over that
            of the true distribution's; NaN for a mode with fewer than two.
        modes_hit: modes with at least one high-quality sample.
        modes_with_mass: modes whose high-quality samples are at least a tenth of n / k.
        high_quality: share of samples of high quality; the true distribution has 0.9889.
        reverse_kl: KL of the high-quality samples' shares per mode to uniform, in nats: 0 when all modes weigh the
            same, log k when one has everything; NaN when there are none.
        spread_ratio: median of `spreads` over the modes with mass; NaN when there are none. Below 1 is too narrow.
    """

    counts: NDArray[np.int64]
    spreads: Floats
    modes_hit: int
    modes_with_mass: int
    high_quality: float
    reverse_kl: float
    spread_ratio: float

    def values(self) -> list[MetricValue]:
        """What is said of the whole mixture, by metric."""
        return [
            MetricValue(MODES_CAPTURED, self.modes_hit),
            MetricValue(MODES_WITH_MASS, self.modes_with_mass),
            MetricValue(HIGH_QUALITY, self.high_quality),
            MetricValue(REVERSE_KL, self.reverse_kl),
            MetricValue(SPREAD_RATIO, self.spread_ratio),
        ]

    def by_mode(self, modes: Modes, n: int) -> list[MetricValue]:
        """What is said of each mode; no spread of one with fewer than two high-quality samples of the `n`."""
        found = []
        for (x, y), count, spread in zip(modes.centres, self.counts, self.spreads, strict=True):
            mode = {MODE: f"({x:g}, {y:g})"}
            found.append(MetricValue(MODE_SHARE, count / n, mode))
            if not math.isnan(spread):
                found.append(MetricValue(MODE_SPREAD, float(spread), mode))
        return found


def mode_coverage(samples: Floats, centres: Floats, sigma: float) -> ModeCoverage:
    """Measure `samples` (n, 2) against modes at `centres` (k, 2) with standard deviation `sigma` per axis.

    Raises:
        ValueError: no samples, another shape, values that aren't finite, or a sigma that isn't positive.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 2 or samples.shape[1] != 2 or not len(samples):
        raise ValueError(f"mode coverage needs samples of shape (n, 2) with n ≥ 1, not {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("mode coverage needs finite samples")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, not {sigma}")
    k = len(centres)
    offsets = samples[:, None, :] - np.asarray(centres, np.float64)[None]
    squared = (offsets**2).sum(-1)
    nearest = squared.argmin(1)
    distance = squared[np.arange(len(samples)), nearest]
    good = distance <= (RADIUS * sigma) ** 2
    counts = np.bincount(nearest[good], minlength=k)
    # About each mode's own mean: a narrow cluster beside its centre is narrow.
    spreads = np.full(k, np.nan)
    for mode in np.flatnonzero(counts >= 2):
        deviation = samples[good & (nearest == mode)].std(axis=0, ddof=1)
        spreads[mode] = np.sqrt((deviation**2).mean()) / (sigma * _CUT_SPREAD)
    heavy = counts >= 0.1 * len(samples) / k
    total = counts.sum()
    return ModeCoverage(
        counts=counts,
        spreads=spreads,
        modes_hit=int((counts > 0).sum()),
        modes_with_mass=int(heavy.sum()),
        high_quality=float(good.mean()),
        reverse_kl=float(rel_entr(counts / total, 1 / k).sum()) if total else math.nan,
        spread_ratio=float(np.median(spreads[heavy])) if heavy.any() else math.nan,
    )


def stacked_coverage(digits: Tensor, shares: Tensor) -> list[MetricValue]:
    """Which of the thousand modes of stacked MNIST samples show, and how far their shares are from the data's.

    Counted in 26,000 samples as the field does, 1,000 modes and a divergence of 0.02 are what the data itself has.

    Args:
        digits: (n, 3) what each channel is read as.
        shares: (1000,) of the modes in the data.
    """
    found = torch.bincount(mode_number(digits), minlength=MODES).double()
    divergence = float(rel_entr((found / found.sum()).numpy(), shares.numpy()).sum())
    return [MetricValue(MODES_CAPTURED, int((found > 0).sum())), MetricValue(REVERSE_KL, divergence)]


def coverage_of(points: Floats, modes: Modes) -> ModeCoverage:
    """`mode_coverage` of points (n, 2) against a card's modes."""
    return mode_coverage(points, np.array(modes.centres), modes.deviation)
