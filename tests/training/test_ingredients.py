"""What GANs of one's own are made of: each trains, resumes to the same bits, and is measured."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from harness.memory.estimate import estimate, traced_tensors
from harness.memory.leaks import bytes_retained
from harness.memory.storage_tracer import UntraceableError
from harness.training import RunConfig, train
from harness.training.flops import step_operations
from tests import toys
from tests.ingredient_toys import Scaled

CPU = torch.device("cpu")


class Counting(nn.Linear):
    """A layer with a state of its own beside its tensors."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.count = 0

    def forward(self, input: Tensor) -> Tensor:
        self.count += 1
        return super().forward(input)

    def get_extra_state(self) -> Any:
        return {"count": self.count}

    def set_extra_state(self, state: Any) -> None:
        self.count = state["count"]


class Buffered(nn.Linear):
    """A layer with buffers of every kind."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        for name, kind in (
            ("whole", torch.int64),
            ("flags", torch.bool),
            ("narrow", torch.bfloat16),
            ("turned", torch.complex64),
        ):
            self.register_buffer(name, torch.zeros(2, dtype=kind))
        self.register_buffer("scalar", torch.tensor(0))
        self.register_buffer("absent", None)
        self.register_buffer("forgotten", torch.zeros(2), persistent=False)


class Cast(nn.Linear):
    """A layer that computes in less than float32."""

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(input).float()


def tied(discriminator: nn.Module) -> nn.Module:
    one, other = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    other.weight = one.weight
    return nn.Sequential(one, other, discriminator)


def two_layers(wrap: Callable[[nn.Linear], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    return lambda _: nn.Sequential(wrap(nn.Linear(2, 4)), nn.Linear(4, 1))


class Late(nn.Linear):
    """A layer whose buffers come to be in its first pass: one announced, one not, one that no state_dict has."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.mean: Tensor | None
        self.spread: Tensor
        self.seen: Tensor
        self.register_buffer("mean", None)
        self.register_buffer("seen", torch.zeros(2), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        if self.mean is None:
            self.mean = torch.zeros(2)
            self.register_buffer("spread", torch.ones(2))
        with torch.no_grad():
            for kept in (self.mean, self.spread, self.seen):
                kept.lerp_(input.mean(0), 0.1)
        return super().forward(input) + self.mean + self.spread + self.seen


class Masked(nn.Linear):
    """A layer with infinities that are meant."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.mask: Tensor
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + (input + self.mask).softmax(1)


class Double(nn.Linear):
    """A layer that is converted as it is made, and converts what it gets."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.double()).float()


PARTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "spectral norm": two_layers(parametrizations.spectral_norm),
    "spectral norm, the older way": two_layers(torch.nn.utils.spectral_norm),
    "weight norm": two_layers(parametrizations.weight_norm),
    "tied weights": tied,
    "frozen weights": lambda d: nn.Sequential(nn.Linear(2, 2).requires_grad_(False), d),
    "dropout": lambda d: nn.Sequential(nn.Dropout(0.3), d),
    "batch normalisation": lambda d: nn.Sequential(nn.BatchNorm1d(2), d),
    "extra state": lambda d: nn.Sequential(Counting(), d),
    "buffers": lambda d: nn.Sequential(Buffered(), d),
    "casts": lambda d: nn.Sequential(Cast(2, 2), d),
    "lazy layers": lambda _: nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.LazyLinear(1)),
    "a constant": lambda d: nn.Sequential(Scaled(), d),
    "buffers that come late": lambda d: nn.Sequential(Late(), d),
    "infinite buffers": lambda d: nn.Sequential(Masked(), d),
    "conversions": lambda d: nn.Sequential(Double(2, 2).double(), d.to(memory_format=torch.channels_last)),
}
Made = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def plainly(name: str) -> Made:
    made: Made = partial(getattr(torch.optim, name), lr=0.01)
    return made


OPTIMIZERS: dict[str, Made] = {
    "a rate that is a tensor": lambda p: torch.optim.Adam(p, lr=torch.tensor(0.01), foreach=False),
    "groups": lambda p: torch.optim.Adam([{"params": p[:1], "lr": 0.1, "betas": (0.5, 0.9)}, {"params": p[1:]}]),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "centred": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
} | {
    name: plainly(name)
    for name in (
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "ASGD",
        "NAdam",
        "RAdam",
        "RMSprop",
        "Rprop",
        "SGD",
    )
}
READS_VALUES = {"Adafactor", "ASGD"}  # their steps, not the reference's


def with_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = toys.Toy.networks

    def networks(toy: toys.Toy) -> dict[str, nn.Module]:
        made = original(toy)
        return made | {"discriminator": PARTS[name](made["discriminator"])}

    monkeypatch.setattr(toys.Toy, "networks", networks)


def with_optimizer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def optimizers(_: toys.Toy, networks: dict[str, nn.Module]) -> dict[str, torch.optim.Optimizer]:
        return {role: OPTIMIZERS[name](list(network.parameters())) for role, network in networks.items()}

    monkeypatch.setattr(toys.Toy, "optimizers", optimizers)


def everything_runs(toy_config: Callable[..., RunConfig], folder: Path) -> None:
    whole = train(toy_config(steps=6), folder / "whole").digests
    train(toy_config(steps=3), folder / "parts")
    assert train(toy_config(steps=6), folder / "parts", resume=True).digests == whole
    toy: Any = toys.Toy()
    assert step_operations(toy, 4) > 0
    assert traced_tensors(toy, 4, CPU) > 0
    early, late = bytes_retained(toy, 2, (4, 8), CPU)
    assert early == late


@pytest.mark.parametrize("name", PARTS)
def test_every_usual_part_runs(
    name: str, toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_part(name, monkeypatch)
    everything_runs(toy_config, tmp_path)
    assert estimate(toys.Toy(), 4).tensors > 0  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_of_torch_runs(
    name: str, toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_optimizer(name, monkeypatch)
    everything_runs(toy_config, tmp_path)
    toy: Any = toys.Toy()
    if name in READS_VALUES:
        with pytest.raises(UntraceableError, match="can't be followed without values"):
            estimate(toy, 4)
    else:
        assert estimate(toy, 4).tensors > 0


class Listing(torch.optim.SGD):
    """An optimiser that keeps a list of tensors."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["history"] = [parameter.detach().clone()]
        return super().step(closure)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda p: torch.optim.LBFGS(p),
            r"optimizers\(\) of toy-grid can't use LBFGS for the generator: it asks for a cl",
        ),
        (lambda p: Listing(p, lr=0.1), "the state history of the optimiser of generator is a list that no checkpoint"),
    ],
)
def test_an_optimiser_that_cannot_be_kept_is_one_line(
    make: Made, said: str, toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPTIMIZERS, "one's own", make)
    with_optimizer("one's own", monkeypatch)
    with pytest.raises(ValueError, match=said):
        train(toy_config(steps=3), tmp_path / "run")


@pytest.mark.parametrize("kind", [torch.complex128, "sparse"])
def test_a_tensor_that_cannot_be_kept_is_said_before_the_first_step(
    kind: Any, toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = torch.zeros(2, 2).to_sparse() if kind == "sparse" else torch.zeros(2, dtype=kind)
    layer = nn.Linear(2, 1)
    layer.register_buffer("odd", odd)
    monkeypatch.setitem(PARTS, "odd", lambda _: copy.deepcopy(layer))
    with_part("odd", monkeypatch)
    with pytest.raises(ValueError, match=r"network discriminator odd is a tensor \(.*\) that no checkpoint can keep"):
        train(toy_config(steps=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"lr": 0.1}, {"lr": 0.2}, "group 2: lr: 0.1 in the checkpoint, 0.2 now"),
        ({"lr": torch.tensor(0.25)}, {"lr": torch.tensor(0.5)}, "group 2: lr: 0.25 in the checkpoint, 0.5 now"),
        ({"betas": (0.5, 0.9)}, {"betas": (0.9, 0.9)}, r"group 2: betas: \[0.5, 0.9\] in the checkpoint"),
    ],
)
def test_an_optimiser_that_was_changed_goes_on_with_nothing(
    before: dict[str, Any],
    after: dict[str, Any],
    said: str,
    toy_config: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = dict(before)

    def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam([{"params": parameters[:1]}, {"params": parameters[1:]} | settings], foreach=False)

    monkeypatch.setitem(OPTIMIZERS, "changed", make)
    with_optimizer("changed", monkeypatch)
    train(toy_config(steps=3), tmp_path / "run")
    settings.update(after)
    with pytest.raises(ValueError, match=said):
        train(toy_config(steps=6), tmp_path / "run", resume=True)


def test_a_state_that_no_checkpoint_can_keep_is_said_before_the_first_step(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "get_extra_state", lambda layer: {layer.count})
    with_part("extra state", monkeypatch)
    with pytest.raises(ValueError, match=r"the extra state discriminator\.0\._extra_state is a set that no checkpoint"):
        train(toy_config(steps=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()
