"""A reference's step on one drawn batch, ready to be run again and again: what memory and speed are measured on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedOperatorException,
)

from harness.training.networks import made_networks
from harness.training.player import EnginePlayer, MakePlayer
from harness.training.streams import GeneratorNoise
from harness.training.synthetic_batch import synthetic_batch
from harness.training.system import System
from reference import Card, Reference

# What a step raises under fake tensors when it reads values, which they don't have.
DATA_DEPENDENT = (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException)
_MAX_BATCH_SIZE = 10**12  # beyond this, sizes in bytes no longer fit 64 bits


class SyntheticStep:
    """Networks, optimisers, noise and a batch on `device`; each call is one documented iteration.

    What pixels show plays no part in how long a step takes or what it holds, so that no data set is needed. Call it
    within `torch.random.fork_rng`, for layers may draw from the global state.

    Raises:
        ValueError: a batch size below 1.
    """

    def __init__(
        self,
        reference: Reference,
        batch_size: int,
        device: torch.device,
        *,
        make_player: MakePlayer = lambda _, network, optimizer: EnginePlayer(network, optimizer),
        prepare: Callable[[Mapping[str, nn.Module], Mapping[str, torch.optim.Optimizer]], None] = lambda *_: None,
    ) -> None:
        check_batch_size(batch_size, reference.card)
        self._device = device
        torch.default_generator.manual_seed(reference.card.seed)
        with _copying_by_clones():
            networks = made_networks(reference)
        # Fake tensors, which live on the CPU, can't be moved.
        networks = networks if device.type == "cpu" else {role: n.to(device) for role, n in networks.items()}
        self.system = System(reference, networks, make_player)
        self.networks, self.players = self.system.networks, self.system.players
        prepare(self.networks, self.system.optimizers)
        self.batch = synthetic_batch(reference.card, batch_size, device)
        self.noise = GeneratorNoise(torch.Generator(device).manual_seed(reference.card.seed))

    def __call__(self) -> dict[str, Tensor]:
        return self.system.step(self.batch, self.noise)

    def seconds(self, steps: int = 1) -> float:
        """How long so many calls take, with the device idle before and after them."""
        self._wait()
        began = time.perf_counter()
        for _ in range(steps):
            self()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


@contextlib.contextmanager
def _copying_by_clones() -> Iterator[None]:
    """Within, `copy.deepcopy` of a tensor is a clone, which modes of dispatch see; PyTorch's copies memory behind them.

    Averaged generators are deep copies, and so are the layers of a transformer.
    """

    def copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        if id(tensor) not in memo:
            made = tensor.detach().clone(memory_format=torch.preserve_format).requires_grad_(tensor.requires_grad)
            if getattr(tensor, "_is_param", False):  # what a parameter without values is known by
                made._is_param = True
            memo[id(tensor)] = made
        return memo[id(tensor)]  # type: ignore[no-any-return]

    before = Tensor.__deepcopy__
    Tensor.__deepcopy__ = copied  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.__deepcopy__ = before  # type: ignore[method-assign]


def check_batch_size(batch_size: int, card: Card, samples: int | None = None) -> None:
    """Raise ValueError unless a batch of this size can be drawn from `samples` samples (None: any number)."""
    if batch_size < 1:
        raise ValueError(f"a batch size must be 1 or more, not {batch_size}")
    if batch_size > _MAX_BATCH_SIZE:
        raise ValueError(f"a batch of {batch_size} is more than any device holds")
    if samples is not None and batch_size > samples:
        raise ValueError(f"a batch of {batch_size} is larger than the data set of {card.name}: {samples:,} samples")
