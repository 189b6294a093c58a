"""A network with its optimiser, as a reference's step sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class EnginePlayer:
    """See `reference.Player`. Gradients are computed for the player's own parameters and for nothing else.

    A document's plain `loss.backward()` also fills the other player's gradients, which the next `zero_grad` throws
    away. Leaving them out gives the same bits for less work.
    """

    __slots__ = ("network", "optimizer", "parameters")

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.network = network
        self.optimizer = optimizer
        self.parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]

    def __call__(self, *inputs: Any) -> Tensor:
        output: Tensor = self.network(*inputs)
        return output

    def zero_grad(self) -> None:
        """Drop this player's gradients."""
        self.optimizer.zero_grad()

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to those of this player's parameters."""
        torch.autograd.backward(loss, inputs=self.parameters)

    def step(self) -> None:
        """Let the optimiser update the parameters."""
        self.optimizer.step()


MakePlayer = Callable[[str, nn.Module, torch.optim.Optimizer], EnginePlayer]


class Roles(SimpleNamespace):
    """What a step is handed, by role."""

    def __getattr__(self, role: str) -> Any:
        raise AttributeError(f"there is no player {role!r}; there are: {', '.join(vars(self))}")


def make_players(
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    make: MakePlayer = lambda _, network, optimizer: EnginePlayer(network, optimizer),
) -> Any:
    """One attribute per role that has an optimiser; a network without one is passed as it is."""
    return Roles(
        **{
            role: make(role, network, optimizers[role]) if role in optimizers else network
            for role, network in networks.items()
        }
    )
