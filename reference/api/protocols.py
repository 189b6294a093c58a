"""What a reference is, and the few names that it may rely on. Nothing here knows the engine that drives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from reference.api.card import Card

Networks = Mapping[str, nn.Module]
Forward = Mapping[str, Callable[..., Tensor]]  # networks by role, to be called: tensors in, a tensor out


@dataclass(frozen=True)
class Batch:
    """What one step gets: `data` (B, …), `labels` (B,) int64 or None, `condition` (B, …) or None."""

    data: Tensor
    labels: Tensor | None = None
    condition: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`; pinned memory is copied without waiting."""
        if self.data.device == device:
            return self
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (PyTorch's loader calls this by name)."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        labels, condition = (t if t is None else change(t) for t in (self.labels, self.condition))
        return Batch(change(self.data), labels, condition)


class Noise(Protocol):
    """Draws from one random stream, on the run's device, in the order in which they are asked for."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal values."""

    def uniform(self, *shape: int) -> Tensor:
        """Values in [0, 1)."""

    def integers(self, high: int, *shape: int) -> Tensor:
        """Integers in [0, high)."""


class Player(Protocol):
    """A network with its optimiser. `backward` adds the loss' gradients for this player's own parameters.

    `network` is the module itself, for what concerns its weights: averages of them, clipping, freezing.
    """

    network: nn.Module

    def __call__(self, *inputs: Any) -> Tensor: ...

    def zero_grad(self) -> None: ...

    def backward(self, loss: Tensor) -> None: ...

    def step(self) -> None: ...


class Players(Protocol):
    """One attribute per role: `players.generator`, `players.critic`, …"""

    def __getattr__(self, role: str) -> Player: ...


@runtime_checkable
class Reference(Protocol):
    """A document's system: its card, its networks, one iteration of its training, and its samples.

    One whose learning rates follow a schedule also defines `schedulers(optimizers)`, which returns torch's schedulers
    by role; they are stepped after each `step`, and kept in checkpoints.
    """

    card: Card

    def networks(self) -> dict[str, nn.Module]:
        """Fresh networks by role, initialised from torch's current random state, on the CPU.

        Lazy layers get their sizes from a sample and a step that the engine takes with others, and are initialised
        after all else; one that is copied here must have its size.
        """

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The document's optimiser of each role."""

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Exactly one documented iteration; returns detached scalars by name."""

    @property
    def sample(self) -> Callable[..., Tensor]:
        """`sample(networks, n, noise)` returns `n` outputs in the card's range.

        A system whose card names classes also takes `labels` (n,) int64 or None, one with a condition `condition`
        (n, …) or None.
        """


def guard(networks: dict[str, nn.Module], card: Card) -> dict[str, nn.Module]:  # noqa: ARG001
    """The networks as they are: the engine guards shapes. Kept for GANs of one's own from before version 0.2."""
    return networks


def given_condition(condition: Tensor | None, card: Card, n: int) -> Tensor:
    """The pictures that a system is conditioned on.

    Raises:
        ValueError: there are none, or not `n`.
    """
    if condition is None:
        raise ValueError(f"{card.name} needs a condition for every sample: the {card.condition} picture")
    if len(condition) != n:
        raise ValueError(f"{card.name} needs {n} {card.condition} pictures, one per sample, not {len(condition)}")
    return condition
