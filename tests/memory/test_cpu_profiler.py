from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from harness.memory.cpu_profiler import Allocations, most_held, profiled_allocations
from harness.memory.estimate import estimated_tensors
from harness.memory.storage_tracer import WORKSPACES, trace_fake_step
from harness.memory.timeline import peak
from reference import Batch, Networks, Noise, Players, Reference, get
from tests.toys import Toy

TOY: Any = Toy()
few = settings(max_examples=60, deadline=None)
TOLERANCE = 0.02
changes = st.lists(st.tuples(st.integers(0, 100), st.integers(-50, 50)), max_size=30)


def test_workspaces_within_an_operator_are_in_everything_and_not_in_tensors() -> None:
    found = most_held(
        [(1, 100), (12, 30), (13, 500), (14, -500), (22, 7), (31, -7)],
        operators=[(11, 15), (21, 25), (30, 32)],
        step=(10, 40),
    )
    assert found == Allocations(tensors=137, everything=630)


def test_what_happens_after_the_step_plays_no_part_and_what_was_held_before_it_does() -> None:
    before = [(1, 1000), (2, -900)]
    within = [(12, 5)]
    after = [(41, -105), (42, 10**6), (43, -(10**6))]
    expected = Allocations(tensors=105, everything=105)
    assert most_held([*before, *within], [(11, 13)], (10, 40)) == expected
    assert most_held([*after, *within, *before], [(11, 13)], (10, 40)) == expected, "in whatever order they come"


def test_what_is_taken_between_operators_counts_at_the_end_of_the_next() -> None:
    assert most_held([(16, 50), (19, -50)], [(11, 15), (21, 25)], (10, 40)) == Allocations(0, 50)
    assert most_held([(16, 50), (26, -50)], [(11, 15), (21, 25)], (10, 40)) == Allocations(50, 50)
    assert most_held([(30, 50)], [(11, 15)], (10, 40)) == Allocations(50, 50), "and at the end of the step"


def test_a_step_without_operators_holds_what_it_found() -> None:
    assert most_held([(1, 8)], [], (10, 40)) == Allocations(8, 8)
    assert most_held([], [], (10, 40)) == Allocations(0, 0)
    assert most_held([(1, 8), (20, -8)], [(15, 25)], (10, 40)) == Allocations(8, 8), "it found 8"


@given(changes, st.lists(st.integers(11, 89), max_size=8, unique=True))
@few
def test_everything_is_at_least_all_tensors_and_at_least_what_the_step_found(
    seen: list[tuple[int, int]], borders: list[int]
) -> None:
    ordered = sorted(borders)
    operators = list(zip(ordered[::2], ordered[1::2], strict=False))
    found = most_held(seen, operators, (10, 90))
    assert sum(size for time, size in seen if time <= 10) <= found.tensors <= found.everything
    assert sum(size for time, size in seen if time <= 90) <= found.tensors
    assert most_held(list(reversed(seen)), operators[::-1], (10, 90)).tensors == found.tensors


@pytest.mark.parametrize(
    ("spec", "batch_size"),
    [("mlp-gan-mnist", 512), ("idl-wgan-gp-grid", 100), ("idl-ex6-pix2pix@size=64,width=8", 2)],
)
def test_the_estimate_of_all_tensors_is_what_the_profiler_sees(spec: str, batch_size: int) -> None:
    seen = profiled_allocations(get(spec), batch_size)
    assert estimated_tensors(get(spec), batch_size) == seen.tensors <= seen.everything


def test_where_the_optimiser_makes_the_peak_only_scalars_and_an_unreduced_loss_are_missed() -> None:
    """On the CPU a mean binary cross entropy keeps the storage of its n summands, and a number its 8 bytes."""
    seen, n = profiled_allocations(get("mlp-gan-mnist"), 100), 100
    assert 0 <= seen.tensors - estimated_tensors(get("mlp-gan-mnist"), n) <= 4 * n + 8


def test_an_estimate_for_another_batch_is_told_apart() -> None:
    seen = profiled_allocations(get("idl-wgan-gp-grid"), 100).tensors
    other = estimated_tensors(get("idl-wgan-gp-grid"), 120)
    assert abs(other / seen - 1) > TOLERANCE


@dataclass(frozen=True)
class Hidden(Toy):
    """It holds on to 4 MB within a step, if tensors have values."""

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        held = None if isinstance(batch.data, FakeTensor) else torch.ones(10**6)
        losses = super().step(players, batch, noise)
        del held
        return losses


def test_what_only_real_tensors_take_is_caught() -> None:
    hidden: Any = Hidden()
    seen = profiled_allocations(hidden, 100).tensors
    assert seen >= estimated_tensors(hidden, 100) + 4 * 10**6 * (1 - TOLERANCE)
    assert profiled_allocations(TOY, 100).tensors < 10**5


def test_a_batch_that_can_not_be_is_refused() -> None:
    for batch_size in (0, -3):
        with pytest.raises(ValueError, match=f"^a batch size must be 1 or more, not {batch_size}$"):
            profiled_allocations(TOY, batch_size)


def test_profiling_leaves_the_global_random_state_as_it_was() -> None:
    before = torch.random.get_rng_state()
    profiled_allocations(TOY, 4)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        profiled_allocations(TOY, 1)
    assert torch.equal(torch.random.get_rng_state(), before)


class OnAllParametersAtOnce:
    """A reference whose optimisers work as they do on CUDA."""

    def __init__(self, of: Reference) -> None:
        self.of, self.card = of, of.card

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        made = self.of.optimizers(networks)
        for group in (group for optimizer in made.values() for group in optimizer.param_groups):
            group["foreach"] = True
        return made


@pytest.mark.parametrize("spec", ["mlp-gan-mnist", "idl-gan-grid", "idl-ex6-pix2pix@size=64,width=8"])
def test_what_optimisers_take_on_cuda_is_what_they_take_here_when_told_to_work_alike(spec: str) -> None:
    chosen = get(spec)
    followed = trace_fake_step(chosen, 2, as_on_cuda=True)
    expected = peak(followed.without(followed.of_kind(WORKSPACES))).size
    seen = profiled_allocations(cast(Reference, OnAllParametersAtOnce(chosen)), 2).tensors
    assert seen == pytest.approx(expected, rel=1e-3)
