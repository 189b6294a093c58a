"""What a device's figures stand on, on the CPU; and that each check notices what it is there for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.checks import device
from harness.checks.device import (
    PASSES,
    differing_passes,
    differing_pixels,
    differing_step,
    wrong_generators,
    wrong_workspaces,
)
from harness.data.device_transfer import DeviceTransfer
from harness.memory.cublas import Workspaces
from harness.memory.estimate import estimated_tensors, traced_tensors
from harness.training.streams import GeneratorNoise, Streams
from reference import Batch, NetworkCard, Noise, get
from tests.toys import Toy

CPU = torch.device("cpu")
CARD = NetworkCard(((3,),), (2,), {}, 0)
DRIFT: Iterator[int] = itertools.count()


@pytest.fixture(autouse=True)
def own_random_state() -> Iterator[None]:
    with torch.random.fork_rng([]):
        yield


class Drifting(torch.autograd.Function):
    """Its result, its gradient or the gradient's gradient is a little larger each time."""

    @staticmethod
    def forward(context: Any, value: Tensor, where: str) -> Tensor:
        context.where = where
        return value + 1e-3 * next(DRIFT) if where == "forwards" else value.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        drifting = context.where == "backwards"
        return gradient * (1 + 1e-3 * next(DRIFT)) if drifting else gradient * 1.0, None


class Network(nn.Module):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.first, self.last, self.where = nn.Linear(3, 4), nn.Linear(4, 2), where

    def forward(self, value: Tensor) -> Tensor:
        drifted: Tensor = Drifting.apply(self.first(value), self.where)
        output: Tensor = self.last(drifted.tanh())
        return output


def test_a_network_that_computes_the_same_twice_has_no_difference() -> None:
    assert differing_passes(lambda: Network("nowhere"), CARD, 4, CPU) == dict.fromkeys(PASSES, "")


@pytest.mark.parametrize(("where", "passes"), [("forwards", PASSES), ("backwards", PASSES[1:])])
def test_a_pass_that_drifts_is_named(where: str, passes: tuple[str, ...]) -> None:
    found = differing_passes(lambda: Network(where), CARD, 4, CPU)
    assert {name for name, wrong in found.items() if wrong} == set(passes)


@pytest.mark.parametrize(
    ("make", "passes"),
    [
        (lambda: nn.Linear(3, 2).requires_grad_(False), {"forwards"}),
        (lambda: nn.ReLU(), {"forwards"}),
        (lambda: nn.Linear(3, 2), {"forwards", "backwards", "double backwards"}),
    ],
)
def test_a_pass_that_a_network_lacks_is_left_out(make: Callable[[], nn.Module], passes: set[str]) -> None:
    found = differing_passes(make, CARD, 2, CPU)
    assert set(found) == passes
    assert not any(found.values())


@dataclass(frozen=True)
class Restless(Toy):
    """Its step adds what no seed decides."""

    def step(self, players: Any, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        values = super().step(players, batch, noise)
        with torch.no_grad():
            next(players.generator.network.parameters()).add_(1e-3 * next(DRIFT))
        return values


def test_a_step_that_is_not_its_seeds_is_named() -> None:
    toy: Any = Toy()
    assert differing_step(toy, 8, CPU) == ""
    restless: Any = Restless()
    assert differing_step(restless, 8, CPU).startswith("step 1: generator ")


def test_generators_do_what_a_resumed_run_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong_generators(CPU) == []
    monkeypatch.setattr(Streams, "restore", lambda *_: None)
    assert "after restoring, normal draws are others" in wrong_generators(CPU)
    monkeypatch.undo()
    monkeypatch.setattr(Streams, "fixed_noise", lambda streams: GeneratorNoise(streams.evaluation))
    assert "a clone of a generator draws something else" in wrong_generators(CPU)


def test_delivered_pixels_are_compared_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert differing_pixels(CPU) == 0
    monkeypatch.setattr(
        DeviceTransfer, "batches", lambda _, given: (Batch(b.data.float() * (2 / 255) - 1) for b in given)
    )
    assert differing_pixels(CPU) > 0, "a GPU that multiplies by the reciprocal"


class Fresh:
    """A process of its own whose products leave so many bytes."""

    kept = 0

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Fresh:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, *_: object) -> Fresh:
        return self

    def result(self) -> int:
        return self.kept


@pytest.mark.parametrize(
    ("cached", "kept", "wrong"), [("0", 0, False), ("0", 64, True), ("1", 65, False), ("1", 0, True)]
)
def test_workspaces_are_held_against_what_this_version_keeps(
    cached: str, kept: int, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cached == "0" and Workspaces.of(environ={}).kept:
        pytest.skip("this PyTorch keeps workspaces in any case")
    monkeypatch.setenv("TORCH_CUBLAS_WORKSPACE_CACHE", cached)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(device, "ProcessPoolExecutor", Fresh)
    monkeypatch.setattr(Fresh, "kept", kept * 2**20)
    assert bool(wrong_workspaces(torch.device("cuda"))) == wrong


@pytest.mark.parametrize("spec", ["mlp-gan-mnist", "idl-wgan-gp-grid", "handson-dcgan-mnist"])
def test_tensors_that_are_really_traced_are_those_that_are_estimated(spec: str) -> None:
    reference = get(spec)
    assert traced_tensors(reference, 2, CPU) == pytest.approx(estimated_tensors(reference, 2), rel=0.001)
