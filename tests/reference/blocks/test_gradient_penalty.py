from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reference.blocks.gradient_penalty import gradient_penalty


def linear(weights: Tensor) -> object:
    return lambda x: (x * weights).flatten(1).sum(1, keepdim=True)


def test_a_linear_critic_has_a_closed_form() -> None:
    weights = torch.randn(1, 28, 28)
    real, fake = torch.rand(5, 1, 28, 28), torch.rand(5, 1, 28, 28)
    epsilon = torch.rand(5, 1, 1, 1)
    formula = gradient_penalty(linear(weights), real, fake, epsilon, whole_sample=True)  # type: ignore[arg-type]
    as_written = gradient_penalty(linear(weights), real, fake, epsilon, whole_sample=False)  # type: ignore[arg-type]
    assert formula.item() == pytest.approx((weights.norm().item() - 1) ** 2, rel=1e-5)
    assert as_written.item() == pytest.approx(((weights.abs() - 1) ** 2).mean().item(), rel=1e-5)


def test_on_points_both_readings_agree() -> None:
    critic = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    real, fake, epsilon = torch.randn(7, 2), torch.randn(7, 2), torch.rand(7, 1)
    one, other = (gradient_penalty(critic, real, fake, epsilon, whole_sample=w) for w in (True, False))
    assert torch.equal(one, other)


def test_the_penalty_reaches_the_critics_parameters() -> None:
    critic = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    gradient_penalty(critic, torch.randn(4, 2), torch.randn(4, 2), torch.rand(4, 1), whole_sample=True).backward()
    (weight, *_) = critic.parameters()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
