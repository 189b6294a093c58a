"""The gradient penalty of WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028, equation 3), in two readings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, epsilon: Tensor, *, whole_sample: bool
) -> Tensor:
    """Mean of (‖∇D(x)‖ − 1)² at x = ε·real + (1 − ε)·fake.

    Args:
        critic: maps (B, …) to scores (B, 1).
        real, fake: (B, …), the same shape; `fake` may carry a graph.
        epsilon: (B, 1, …), one value in [0, 1) per sample.
        whole_sample: True takes the norm over all of a sample, as the formula says. False takes it over dimension 1
            only: the same for (B, features), but for (B, 1, H, W) it is each pixel's absolute gradient, and the mean
            then runs over pixels too.

    Returns:
        A scalar that carries a graph to the critic's parameters.
    """
    mixed = epsilon * real + (1 - epsilon) * fake
    if not mixed.requires_grad:
        mixed.requires_grad_()
    scores = critic(mixed)
    (gradient,) = torch.autograd.grad(scores, mixed, torch.ones_like(scores), create_graph=True)
    norm = gradient.flatten(1).norm(2, dim=1) if whole_sample else gradient.norm(2, dim=1)
    penalty: Tensor = ((norm - 1) ** 2).mean()
    return penalty
