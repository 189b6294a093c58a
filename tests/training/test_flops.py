from __future__ import annotations

import threading
from typing import Any, ClassVar, cast

import pytest
import torch

import reference
from harness.training.flops import SMALL_STEP, step_operations, step_threads, steps_within_budget
from tests.toys import Toy


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


@pytest.mark.parametrize("spec", ["idl-gan-mnist", "idl-cond-wgan-gp-mnist", "mlp-gan-mnist"])
def test_operations_are_the_same_with_values_and_without(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_values = step_operations(reference.get(spec), 8)
    monkeypatch.setattr("harness.training.flops._SMALL_SAMPLE", 0)
    assert step_operations(reference.get(spec), 8) == with_values


def test_what_cannot_be_copied_is_counted_without_values() -> None:
    class Locked(Toy):
        lock = None

        def __init__(self) -> None:
            object.__setattr__(self, "lock", threading.Lock())

    locked: Any = Locked()
    assert step_operations(locked, 4) == step_operations(cast(Any, Toy()), 4) > 0


def test_counting_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    step_operations(reference.get("idl-gan-grid"), 2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("per_step", "budget", "documented", "steps"),
    [(10, 1000, 50, 50), (10, 1000, 500, 100), (10, None, 500, 500), (1000, 10, 500, 2), (0, 10, 5, 5)],
)
def test_a_budget_buys_steps(per_step: float, budget: float | None, documented: int, steps: int) -> None:
    assert steps_within_budget(per_step, budget, documented) == steps


@pytest.fixture
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training.flops.available_threads", lambda: 4)


CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.usefixtures("four_processors")
def test_a_small_step_on_the_cpu_takes_one_thread() -> None:
    toy: Any = Toy()
    assert step_threads(toy, 8, CPU) == 1
    assert step_threads(toy, 8, CUDA) == 4, "there the CPU only gives orders"
    grid = reference.get("idl-gan-grid")
    small = int(SMALL_STEP / step_operations(grid, 1))
    assert (step_threads(grid, small, CPU), step_threads(grid, 2 * small, CPU)) == (1, 4)
    assert step_threads(grid, grid.card.batch_size, CPU) == 4, "a second thread takes a tenth off its step"


@pytest.mark.usefixtures("four_processors")
def test_few_parameters_make_no_small_step_where_they_are_used_often() -> None:
    """Convolutions use a weight for every pixel."""
    dcgan = reference.get("handson-dcgan-mnist")
    assert step_threads(dcgan, 1, CPU) == 4


@pytest.mark.usefixtures("four_processors")
def test_a_step_that_cannot_be_counted_is_left_to_fail_where_it_is_taken() -> None:
    class Broken(Toy):
        def step(self, *_: object) -> dict[str, torch.Tensor]:
            raise KeyError("no such layer")

    broken: Any = Broken()
    assert step_threads(broken, 8, CPU) == 4


@pytest.mark.usefixtures("four_processors")
def test_counting_leaves_nothing_behind_that_a_training_could_trip_over() -> None:
    """Neither tensors without values, which a step may keep for later, nor steps that a reference has counted."""

    class Keeping(Toy):
        kept: ClassVar[list[torch.Tensor]] = []

        def step(self, *given: Any) -> dict[str, torch.Tensor]:
            self.kept.append(torch.ones(2))
            object.__setattr__(self, "taken", getattr(self, "taken", 0) + 1)
            return super().step(*given)

    keeping: Any = Keeping()
    before = torch.random.get_rng_state()
    assert step_threads(keeping, 8, CPU) == 1
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [type(tensor) for tensor in keeping.kept] == [torch.Tensor]
    assert float(keeping.kept[0].sum()) == 2
    assert not hasattr(keeping, "taken")
    step_operations(keeping, 4)
    assert [type(tensor) for tensor in keeping.kept] == [torch.Tensor] * 2
    assert not hasattr(keeping, "taken")
