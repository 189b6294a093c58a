"""Mixtures of equal, round Gaussians in the plane: the 3×3 grid of document 004, and two that others count modes on.

`ring-8` and `grid-25` are those of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018): 100,000 points to
train on, modes counted in 2,500 samples. Theirs draw how many points a mode gets, here each gets as many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from reference import Batch, Card, Modes


@dataclass(frozen=True)
class Mixture:
    """A mixture by name.

    Attributes:
        title: what a report calls it.
        modes: its centres and their σ.
        points: to train on, of each mode.
        counted: samples in which modes are counted, None for as many as a profile says.
    """

    title: str
    modes: Modes
    points: int
    counted: int | None = None


_SQUARE = tuple((float(x), float(y)) for x, y in product((-1, 0, 1), repeat=2))
_LARGE_SQUARE = tuple((float(x), float(y)) for x, y in product((-4, -2, 0, 2, 4), repeat=2))
_RING = tuple((math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8))

THE_GRID = Modes(_SQUARE, 0.05)  # in the order of the document's two loops
MIXTURES = {
    "gaussian-grid": Mixture("3×3 Gaussian grid", THE_GRID, 10_000),
    "grid-25": Mixture("5×5 Gaussian grid", Modes(_LARGE_SQUARE, 0.05), 4_000, 2_500),
    "ring-8": Mixture("ring of 8 Gaussians", Modes(_RING, 0.01), 12_500, 2_500),
}


def modes_of(card: Card) -> Modes | None:
    """The modes of the points that a card asks for; None for other data."""
    return MIXTURES[card.dataset].modes if card.dataset in MIXTURES else card.modes


def points_counted(card: Card, usual: int) -> int:
    """How many points modes are counted in: what the field does on this mixture, else as usual."""
    return (MIXTURES[card.dataset].counted if card.dataset in MIXTURES else None) or usual


class MixtureData:
    """Points (2,) of a mixture, mode by mode, the same in every run.

    Raises:
        ValueError: another shape is asked for.
    """

    real = complete = True
    in_memory = True

    def __init__(self, name: str, shape: tuple[int, ...] = (2,), points: int | None = None, seed: int = 0) -> None:
        mixture = MIXTURES[name]
        if shape != (2,):
            raise ValueError(f"{name} holds points of shape (2,), not {shape}")
        each = points or mixture.points
        generator = torch.Generator().manual_seed(seed)
        centres = torch.tensor(mixture.modes.centres).repeat_interleave(each, dim=0)
        self.title = mixture.title
        self.points = centres + mixture.modes.deviation * torch.randn(centres.shape, generator=generator)
        self.fingerprint = f"{name}-{each}-seed{seed}"

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, indices: Tensor) -> Batch:
        return Batch(self.points[indices])
