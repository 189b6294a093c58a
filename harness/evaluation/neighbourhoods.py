"""Density and coverage, Naeem et al. 2020: how samples fill the neighbourhoods of real images.

Around each real image lies a ball that reaches to its fifth nearest real neighbour. Unlike precision and recall, both
have a known value for two samples of one distribution, 1 and 1 − (1/2)^5 on average, and an outlier among the samples
makes no wide ball.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 5  # the paper's
_ROWS = 500
_TIE = 1 - 1e-9  # what lies on a ball lies outside, however the distance was rounded


def density_coverage(generated: Tensor, real: Tensor) -> tuple[float, float]:
    """How many balls hold a sample on average, over five; and the share of balls that hold one.

    Args:
        generated: features (n, d).
        real: features (m, d).

    Raises:
        ValueError: fewer than six real ones, or no sample.
    """
    if len(real) <= NEIGHBOURS or not len(generated):
        raise ValueError(
            f"density and coverage need more than {NEIGHBOURS} real images and a sample, not {len(real)} and "
            f"{len(generated)}"
        )
    generated, real = generated.double(), real.double()
    radii = _TIE * torch.cat(
        [torch.cdist(rows, real).kthvalue(NEIGHBOURS + 1, dim=1).values for rows in torch.split(real, _ROWS)]
    )  # a real image is its own nearest
    held, nearest = 0, torch.full_like(radii, torch.inf)
    for rows in torch.split(generated, _ROWS):
        distances = torch.cdist(rows, real)
        held += int((distances < radii).sum())
        nearest = torch.minimum(nearest, distances.amin(0))
    return held / (NEIGHBOURS * len(generated)), float((nearest < radii).double().mean())
