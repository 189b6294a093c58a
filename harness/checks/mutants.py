"""Ways in which GAN code really breaks, applied to any reference from outside.

`mutant@of=SPEC,change=NAME` is a reference like any other: it has the card of the one it breaks, so that every suite
runs on it. Registered by importing this module, also in other processes, and never listed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor, nn

from harness.training.returned import draw_samples
from reference import Batch, Card, Networks, Noise, Players, Reference, get, unlisted

CHANGES = {
    "none": "nothing: the control",
    "missing-detach": "the discriminator's loss reaches the generator, whose gradients are cleared only at the top",
    "gradients-not-cleared": "gradients are never cleared",
    "generator-never-stepped": "the generator's optimiser is never called",
    "discriminator-never-stepped": "the discriminator's optimiser is never called",
    "swapped-labels": "the discriminator learns real as generated and generated as real",
    "generator-sign": "the generator's loss has the wrong sign",
    "penalty-on-reals": "the gradient penalty is taken on real data only",
    "penalty-sign": "the gradient penalty has the wrong sign",
    "penalty-dropped": "the gradient penalty is logged and has no gradient",
    "l1-dropped": "the L1 term is logged and has no gradient",
    "other-range": "data are normalised to another range than the output activation's",
    "evaluation-mode": "the generator is left in evaluation mode",
    "initialisation-dropped": "layers keep PyTorch's initial values",
    "learning-rate-times-ten": "the learning rate is ten times too high",
    "beta-by-ten": "the first beta (the second where the first is 0) is a tenth",
    "same-noise": "every step uses the first step's noise",
    "same-batch": "every step uses the first step's batch",
    "labels-ignored": "labels are replaced by 0",
    "sampling-other-latents": "samples are made from uniform latents",
    "optimiser-forgotten": "resuming restores no optimiser",
}


@unlisted
@dataclass(frozen=True)
class Mutant:
    """The reference `of` with one `change`.

    Raises:
        ValueError: an unknown change, with the choices.
    """

    of: str = "idl-gan-grid"
    change: str = "none"
    card: ClassVar[Card]
    _memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.change not in CHANGES:
            raise ValueError(f"unknown change {self.change!r}; there are: {', '.join(CHANGES)}")
        object.__setattr__(self, "card", self.original.card)

    @property
    def original(self) -> Reference:
        """The reference that is broken."""
        return get(self.of)

    @property
    def data(self) -> Any:
        """The original's own, None for one without."""
        return getattr(self.original, "data", None)

    def networks(self) -> dict[str, nn.Module]:
        """The original's, or what the change makes of them."""
        networks = self.original.networks()
        match self.change:
            case "evaluation-mode":
                networks["generator"].eval()
            case "initialisation-dropped":
                for network in networks.values():
                    network.apply(_reset)
            case "labels-ignored":
                for role in (role for role, card in self.card.networks.items() if card.classes):
                    networks[role].register_forward_pre_hook(_first_class)
        return networks

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The original's, or with other settings."""
        optimizers = self.original.optimizers(networks)
        for optimizer in optimizers.values():
            match self.change:
                case "optimiser-forgotten":
                    _forgetful(optimizer)
                case "learning-rate-times-ten":
                    for group in optimizer.param_groups:
                        group["lr"] *= 10
                case "beta-by-ten":
                    for group in optimizer.param_groups:
                        first, second = group["betas"]
                        group["betas"] = (first / 10, second) if first else (first, second / 10)
        return optimizers

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The original's step in the changed world.

        Raises:
            ValueError: the step calls nothing that the change is about, so that it would be a control.
        """
        roles = {role: player for role, player in vars(players).items() if hasattr(player, "zero_grad")}
        changed = {role: _Changed(role, player, self.change, roles) for role, player in roles.items()}
        if self.change == "missing-detach":
            for player in roles.values():
                player.zero_grad()
        given: Any = SimpleNamespace(**{**vars(players), **changed})
        with _changed_functions(self.change) as calls:
            values = self.original.step(given, self._batch(batch), self._noise(noise))
        if self.change in _FUNCTIONS and not calls:
            name, _ = _FUNCTIONS[self.change]
            raise ValueError(f"the step of {self.of} calls no {name}: the change {self.change!r} would change nothing")
        return values

    def sample(self, networks: Networks, n: int, noise: Noise, **given: Tensor | None) -> Tensor:
        """The original's samples, from other latents if that is the change."""
        drawn = _Uniform(noise) if self.change == "sampling-other-latents" else noise
        return draw_samples(self.original, networks, n, drawn, **given)

    def _batch(self, batch: Batch) -> Batch:
        if self.change == "same-batch":
            kept: Batch = self._memory.setdefault("batch", batch)
            return kept
        if self.change == "other-range":
            low = self.card.data_range[0]
            return Batch(batch.data * 2 - 1 if low == 0 else (batch.data + 1) / 2, batch.labels, batch.condition)
        return batch

    def _noise(self, noise: Noise) -> Noise:
        if self.change == "penalty-on-reals":
            return _Ones(noise)
        if self.change == "same-noise":
            return _Repeated(noise, self._memory)
        return noise


class _Changed:
    """A player with one thing wrong."""

    def __init__(self, role: str, player: Any, change: str, players: dict[str, Any]) -> None:
        self.role, self.player, self.change, self.players = role, player, change, players
        self.judging = False  # between its own clearing and its own step

    def __call__(self, *inputs: Any) -> Tensor:
        output: Tensor = self.player(*inputs)
        if self.change == "swapped-labels" and self.role != "generator" and self.judging:
            return 1 - output if _gives_probabilities(self.player.network) else -output
        return output

    def zero_grad(self) -> None:
        self.judging = True
        if self.change not in ("gradients-not-cleared", "missing-detach"):
            self.player.zero_grad()

    def backward(self, loss: Tensor) -> None:
        if self.change == "missing-detach" and self.role != "generator":
            others = [p for role, player in self.players.items() if role != self.role for p in player.parameters]
            torch.autograd.backward(loss, inputs=others, retain_graph=True)
        self.player.backward(-loss if self.change == "generator-sign" and self.role == "generator" else loss)

    def step(self) -> None:
        self.judging = False
        never = "generator" if self.role == "generator" else "discriminator"
        if self.change != f"{never}-never-stepped":
            self.player.step()


@dataclass
class _Passing:
    """A noise that hands everything on."""

    noise: Noise

    def normal(self, *shape: int) -> Tensor:
        return self.noise.normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        return self.noise.uniform(*shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        return self.noise.integers(high, *shape)


class _Ones(_Passing):
    def uniform(self, *shape: int) -> Tensor:
        return torch.ones_like(self.noise.uniform(*shape))


class _Uniform(_Passing):
    def normal(self, *shape: int) -> Tensor:
        return self.noise.uniform(*shape)


class _Repeated(_Passing):
    """The n-th draw of every step is that of the first step."""

    def __init__(self, noise: Noise, memory: dict[str, Any]) -> None:
        super().__init__(noise)
        self.memory, self.count = memory, 0

    def normal(self, *shape: int) -> Tensor:
        self.count += 1
        drawn: Tensor = self.memory.setdefault(f"noise {self.count} {shape}", self.noise.normal(*shape))
        return drawn


def _first_class(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(torch.zeros_like(given) if given.dtype == torch.int64 else given for given in inputs)


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()


def _forgetful(optimizer: torch.optim.Optimizer) -> None:
    optimizer.load_state_dict = lambda _: None  # type: ignore[method-assign, assignment]


def _gives_probabilities(network: nn.Module) -> bool:
    return isinstance(list(network.modules())[-1], nn.Sigmoid)


_Function = Callable[..., Any]
# Functions that references call by their names, and what is put in their place.
_FUNCTIONS: dict[str, tuple[str, Callable[[_Function], _Function]]] = {
    "penalty-sign": ("gradient_penalty", lambda original: lambda *a, **k: -original(*a, **k)),
    # Logged as before, and without effect.
    "penalty-dropped": ("gradient_penalty", lambda original: lambda *a, **k: original(*a, **k).detach()),
    "l1-dropped": ("l1_loss", lambda original: lambda *a, **k: original(*a, **k).detach()),
}


@contextlib.contextmanager
def _changed_functions(change: str) -> Iterator[list[str]]:
    """Within, a function is another in every module of the references that knows it; gives the names of calls."""
    calls: list[str] = []
    with contextlib.ExitStack() as stack:
        if change == "missing-detach":
            stack.enter_context(mock.patch.object(Tensor, "detach", _undetached(Tensor.detach)))
        if change in _FUNCTIONS:
            name, made = _FUNCTIONS[change]
            for module in [module for key, module in sys.modules.items() if key.startswith("reference.")]:
                original = getattr(module, name, None)
                if callable(original):
                    counted = _counted(made(original), name, calls)
                    stack.enter_context(mock.patch.object(module, name, counted))
        yield calls


def _counted(function: _Function, name: str, calls: list[str]) -> _Function:
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return function(*args, **kwargs)

    return call


def _undetached(original: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A batch stays in its graph; single values, as for logs, are detached all the same."""
    return lambda tensor: tensor if tensor.dim() else original(tensor)
