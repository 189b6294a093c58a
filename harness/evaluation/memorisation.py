"""Memorisation: do samples come nearer to the training images than other images of the same kind do?

Several questions, for none sees everything. The distance ratio asks how near half of all samples come; authenticity
(Alaa et al. 2022) counts samples that lie farther from a training image than that one from its nearest; copies are
those that lie less than half as far. C_T (Meehan et al. 2020) asks whether samples lie nearer to the training images
than images that were held out do, and a gap of FIDs whether they look more like them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.data.dataset import linspace_indices

_SOME = 2000  # training images from which it is learned how near they lie to each other
_ROWS, _FEW = 200, 4
_CELLS, _LEAST_IN_CELL, _CLUSTERED = 20, 20, 10_000
_SEED = 2020
COPY = 0.5  # of the distance at which training images lie from each other


@dataclass(frozen=True)
class Nearest:
    """Of each of n rows its nearest one among others: the distances (n,) float64, and which ones they are (n,)."""

    distances: Tensor
    places: Tensor


def nearest(rows: Tensor, others: Tensor, own: Tensor | None = None) -> Nearest:
    """The nearest of `others` (m, d) to each of `rows` (n, d), by the Euclidean distance.

    `own` (n,) says which of the others a row itself is: that one doesn't count.

    Raises:
        ValueError: no other is left.
    """
    if len(others) <= (own is not None):
        raise ValueError(f"the nearest other image can't be found among {len(others)}")
    distances, places = [], []
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        far = torch.cdist(some, others)
        if own is not None:
            far[torch.arange(len(far)), own[start : start + _ROWS]] = torch.inf
        # A product of matrices, whose rounding hides small distances: the nearest few are computed once more.
        few = far.topk(min(_FEW, len(others) - (own is not None)), largest=False).indices
        exact = torch.linalg.vector_norm(some[:, None].double() - others[few].double(), dim=2)
        least = exact.min(1)
        distances.append(least.values)
        places.append(few.gather(1, least.indices[:, None])[:, 0])
    return Nearest(torch.cat(distances), torch.cat(places))


def distance_ratio(generated: Nearest, training: Tensor) -> float:
    """Median distance of samples to their nearest training image, over that among training images (m, d).

    About 1 for new images of the same kind, 0 when more than half are copies. What is usual among training images is
    learned from 2,000 of them.
    """
    return float(generated.distances.median()) / _usual_distance(training)


def _usual_distance(training: Tensor) -> float:
    """The median distance of training images to their nearest other one."""
    some = linspace_indices(len(training), _SOME)
    return float(nearest(training[some], training, own=some).distances.median())


@dataclass(frozen=True)
class Reach:
    """How near samples come to training images, over how near these lie to each other.

    `ratios` (n,) are the distances from each sample to its nearest training image, over that image's own distance to
    the nearest other one.
    """

    ratios: Tensor

    @classmethod
    def of(cls, generated: Nearest, training: Tensor) -> Reach:
        """That of samples among training images (m, d)."""
        reached, back = torch.unique(generated.places, return_inverse=True)
        usual = nearest(training[reached], training, own=reached).distances[back]
        # A training image that is there twice lies at no distance: what is usual among the others counts for it.
        if not bool(usual.all()):
            usual[usual == 0] = _usual_distance(training)
        return cls(torch.where(generated.distances > 0, generated.distances / usual, 0))

    @property
    def authentic(self) -> float:
        """The share of samples that lie farther from their nearest training image than it does from its own nearest.

        AuthPct is this in per cent. A copy is never authentic; of new images of the same kind some aren't either.
        """
        return float((self.ratios > 1).double().mean())

    @property
    def copies(self) -> float:
        """The share of samples that lie less than half as far off: hardly any new image of the same kind does."""
        return float((self.ratios < COPY).double().mean())


@dataclass(frozen=True)
class Cells:
    """Regions of feature space: the `centres` (k, d) of clusters of the training images."""

    centres: np.ndarray[tuple[int, ...], np.dtype[np.float64]]

    @classmethod
    def of(cls, training: Tensor) -> Cells:
        """Twenty clusters of at most 10,000 training images (m, d), or one cell where they are fewer than forty."""
        from scipy.cluster.vq import kmeans2

        some = training[linspace_indices(len(training), _CLUSTERED)].double().numpy()
        if len(some) < 2 * _CELLS:
            return cls(some.mean(0, keepdims=True))
        centres, _ = kmeans2(some, _CELLS, minit="++", seed=np.random.default_rng(_SEED), missing="warn")
        return cls(np.asarray(centres))

    def among(self, features: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        """The cell (n,) that each row lies in."""
        from scipy.cluster.vq import vq

        return np.asarray(vq(features.double().numpy(), self.centres)[0])


def data_copying(
    generated: Tensor, held_out: Tensor, near: Nearest, held_out_near: Nearest, cells: Cells
) -> float | None:
    """C_T: are samples nearer to the training images than images that were held out, in standard deviations?

    In each cell the distances of both to their nearest training image are ranked together; Mann and Whitney's z-scores
    are averaged by the held-out images' shares. About 0 for new images of the same kind, below −3 for copies, above 3
    where samples lie farther off than real images do. A cell with fewer than twenty of either counts for nothing.

    Args:
        generated: features (n, d), whose nearest training images are `near`.
        held_out: features (m, d), whose nearest training images are `held_out_near`.

    Returns:
        None where no cell has twenty of both.
    """
    from scipy.stats import ranksums  # takes a second

    ours, theirs = cells.among(generated), cells.among(held_out)
    weights, scores = [], []
    for cell in range(len(cells.centres)):
        one, other = ours == cell, theirs == cell
        if min(one.sum(), other.sum()) >= _LEAST_IN_CELL:
            weights.append(other.sum())
            z = ranksums(near.distances.numpy()[one], held_out_near.distances.numpy()[other]).statistic
            scores.append(float(z))
    return float(np.average(scores, weights=weights)) if weights else None
