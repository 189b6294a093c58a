from __future__ import annotations

import pytest
import torch

import reference
from harness.measurement.operations import affordable_steps, step_operations


def test_operations_of_the_grid_gan_by_hand() -> None:
    """Forward 1, weight gradients 1, input gradients 1 times the products; the first layer of each needs no input's."""
    latent, hidden = 64, 512
    g_first, g_rest = latent * hidden, 2 * hidden * hidden + hidden * 2
    d_first, d_rest = 2 * hidden, 2 * hidden * hidden + hidden
    discriminator_step = 2 * (2 * d_first + 3 * d_rest)
    generator_forward = g_first + g_rest
    generator_step = d_first + d_rest + (d_first + d_rest) + g_first + 2 * g_rest
    expected = 2 * 128 * (discriminator_step + generator_forward + generator_step)
    counted = step_operations(reference.get("idl-gan-grid"), 128)
    assert counted == pytest.approx(expected, rel=1e-6)


def test_counting_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    step_operations(reference.get("idl-gan-grid"), 2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("per_step", "budget", "documented", "steps"),
    [(10, 1000, 50, 50), (10, 1000, 500, 100), (10, None, 500, 500), (1000, 10, 500, 2), (0, 10, 5, 5)],
)
def test_a_budget_buys_steps(per_step: float, budget: float | None, documented: int, steps: int) -> None:
    assert affordable_steps(per_step, budget, documented) == steps
