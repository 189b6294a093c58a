"""Nine Gaussians on a 3×3 grid (document 004, section 9.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from reference import Batch, Card, Modes

SIGMA = 0.05
POINTS_PER_MODE = 10_000


def mode_centres() -> Tensor:
    """(9, 2): the means, {−1, 0, 1}², in the order of the document's two loops."""
    axis = torch.tensor([-1.0, 0.0, 1.0])
    return torch.cartesian_prod(axis, axis)


THE_GRID = Modes(tuple((float(x), float(y)) for x, y in mode_centres()), SIGMA)


def modes_of(card: Card) -> Modes | None:
    """The modes of the points that a card asks for; None for other data."""
    return THE_GRID if card.dataset == "gaussian-grid" else card.modes


class GaussianGrid:
    """90,000 points (2,) around nine centres, the same in every run."""

    title = "3×3 Gaussian grid"
    real = complete = True
    in_memory = True

    def __init__(self, points_per_mode: int = POINTS_PER_MODE, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        centres = mode_centres().repeat_interleave(points_per_mode, dim=0)
        self.points = centres + SIGMA * torch.randn(centres.shape, generator=generator)
        self.fingerprint = f"gaussian-grid-{points_per_mode}-seed{seed}"

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, indices: Tensor) -> Batch:
        return Batch(self.points[indices])
