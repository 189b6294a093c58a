from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.data.mixtures import MixtureData
from harness.memory.estimate import estimate, estimated_tensors, traced_tensors
from harness.memory.leaks import bytes_retained
from harness.training import RunConfig, train
from harness.training.flops import step_operations, takes_a_single_sample
from harness.training.run_folder import read_rows
from harness.training.sampler import Sampler
from reference import get
from tests import toys

Slip = tuple[str, Callable[..., Any], str]


def once_other(first: Any, later: Any) -> Callable[..., Any]:
    answers = iter([first])
    return lambda *_: next(answers, later)


ONE = torch.tensor(1.0)
SLIPS: list[Slip] = [
    ("step", lambda *_: None, "return its losses by name, as in .*, not nothing"),
    ("step", lambda *_: {}, "return its losses by name, as in .*, not an empty dict"),
    ("step", lambda *_: [ONE], "return its losses by name, as in .*, not a list"),
    ("step", lambda *_: ONE, r"return its losses by name, as in .*, not a tensor of shape \(\)"),
    ("step", lambda *_: (ONE, ONE), "return its losses by name, as in .*, not a tuple"),
    ("step", lambda *_: {"loss": 0.5}, "tensors of one real value, and 'loss' is a float; return the loss detached"),
    ("step", lambda *_: {"loss": torch.ones(3)}, r"tensors of one real value, and 'loss' is a tensor of shape \(3,\)"),
    ("step", lambda *_: {"loss": None}, "tensors of one real value, and 'loss' is nothing"),
    ("step", lambda *_: {"step": ONE}, "not call a value 'step'"),
    ("step", lambda *_: {"loss": ONE, "epoch": ONE}, "not call a value 'epoch'"),
    ("step", once_other({"a": ONE}, {"b": ONE}), "the same names each time: a before, now b"),
    ("step", once_other({"a": ONE}, {"a": 1}), "tensors of one real value, and 'a' is a int"),
    ("step", lambda *_: {1: ONE}, "name its values with texts, and one is called 1"),
    ("step", lambda *_: {"loss": torch.ones((), dtype=torch.complex64)}, "of one real value, and 'loss' is a tensor"),
    ("step", lambda *_: {"loss": torch.ones((), device="meta")}, "of one real value, and 'loss' is a tensor"),
    ("networks", lambda *_: (nn.Linear(1, 1), nn.Linear(1, 1)), "a dict of networks by role, not a tuple"),
    ("networks", lambda *_: {}, "a dict of networks by role, not an empty dict"),
    ("networks", lambda *_: None, "a dict of networks by role, not nothing"),
    ("networks", lambda *_: {"generator": nn.Linear}, "nn.Modules by role, and 'generator' is a type"),
    (
        "networks",
        lambda *_: {"generator": nn.Linear(3, 2), "discriminator": nn.Linear(2, 1), "ema": nn.LazyLinear(2)},
        "whose sizes are known or follow from a sample and a step; in ema are lazy layers that don't$",
    ),
    (
        "networks",
        lambda *_: {"generator": nn.Linear(4, 2), "discriminator": nn.LazyLinear(1)},
        "in discriminator are lazy layers that don't: .*mat1 and mat2 shapes",
    ),
    ("networks", lambda *_: {"generator": nn.Linear(1, 1, device="meta")}, "with values; 'generator' has some on meta"),
    ("networks", lambda *_: {0: nn.Linear(1, 1)}, "nn.Modules by role, and 0 is a Linear"),
    ("optimizers", lambda *_: None, "a dict of optimisers by role, not nothing"),
    ("optimizers", lambda *_: [torch.optim.SGD([ONE], 0.1)], "a dict of optimisers by role, not a list"),
    ("optimizers", lambda *_: {"generator": "Adam"}, "optimisers by role, and 'generator' is a str"),
    (
        "optimizers",
        lambda *_: {"G": torch.optim.SGD([ONE], 0.1)},
        "use the roles of networks\\(\\), generator, discriminator, and has 'G'",
    ),
]


@pytest.mark.parametrize(("method", "answer", "said"), SLIPS)
def test_a_slip_is_a_line_that_names_what_must_be_returned(
    method: str,
    answer: Callable[..., Any],
    said: str,
    toy_config: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(toys.Toy, method, lambda _, *given: answer(*given))
    with pytest.raises(ValueError, match=rf"^{method}\(\) of toy-grid must .*{said}"):
        train(toy_config(), tmp_path / "run")


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (lambda n: np.zeros((n, 2)), "not a ndarray"),
        (lambda _: None, "not nothing"),
        (lambda n: (torch.zeros(n, 2),), "not a tuple"),
        (lambda n: torch.zeros(n - 1, 2), r"not a tensor of shape \(2047, 2\)"),
        (lambda n: torch.zeros(2, n), r"not a tensor of shape \(2, 2048\)"),
        (lambda n: torch.zeros(n), r"not a tensor of shape \(2048,\)"),
    ],
)
def test_slips_of_sample_are_one_line(
    samples: Callable[[int], Any],
    said: str,
    toy_config: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(toys.Toy, "sample", lambda _, __, n, *___: samples(n))
    with pytest.raises(ValueError, match=rf"^sample\(\) of toy-grid must return a tensor of shape \(2048, 2\), {said}"):
        train(toy_config(steps=2, sample_every=1), tmp_path / "run")
    toy: Any = toys.Toy()
    with pytest.raises(ValueError, match=r"^sample\(\) of toy-grid must return"):
        Sampler(toy, toy.networks(), torch.device("cpu"), 0).draw(2048)


def test_a_player_that_is_not_there_names_those_that_are(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys.Toy, "step", lambda _, players, *__: players.critic)
    with pytest.raises(AttributeError, match="there is no player 'critic'; there are: generator, discriminator"):
        train(toy_config(steps=2), tmp_path / "run")


def test_rows_hold_the_values_of_their_own_step(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that shares memory with a weight, one that is counted up in place, one of another shape."""
    original, seen, count = toys.Toy.step, [], torch.zeros(())

    def step(toy: toys.Toy, players: Any, batch: Any, noise: Any) -> dict[str, torch.Tensor]:
        values = original(toy, players, batch, noise)
        count.add_(1)
        seen.append(players.generator.network[0].bias[0].item())
        return values | {
            "bias": players.generator.network[0].bias[0].detach(),
            "count": count,
            "wide": values["loss_generator"].reshape(1, 1),
        }

    monkeypatch.setattr(toys.Toy, "step", step)
    train(toy_config(steps=6), tmp_path / "run")
    rows = list(read_rows(tmp_path / "run" / "metrics.jsonl"))
    assert [row["count"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["bias"] for row in rows] == seen[-6:]
    assert len(set(seen[-6:])) == 6
    assert [row["wide"] for row in rows] == [row["loss_generator"] for row in rows]


def test_networks_that_were_trained_before_are_no_fresh_ones(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, frozen = nn.Linear(3, 2), nn.Linear(2, 2).requires_grad_(False)
    monkeypatch.setattr(
        toys.Toy, "networks", lambda _: {"generator": nn.Sequential(kept), "discriminator": nn.Linear(2, 1)}
    )
    train(toy_config(steps=2), tmp_path / "once")
    with pytest.raises(ValueError, match="make new networks each time; in its generator are layers that it made bef"):
        train(toy_config(steps=2), tmp_path / "twice")
    monkeypatch.setattr(
        toys.Toy,
        "networks",
        lambda _: {"generator": nn.Linear(3, 2), "discriminator": nn.Sequential(frozen, nn.Linear(2, 1))},
    )
    for name in ("frozen", "frozen again"):  # as weights are that are loaded once
        train(toy_config(steps=2), tmp_path / name)


def test_measures_look_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toys.Toy, "step", lambda *_: None)
    toy: Any = toys.Toy()
    with pytest.raises(ValueError, match="return its losses by name"):
        bytes_retained(toy, 2, (1, 2), torch.device("cpu"))


class Averaged(toys.Toy):
    """With a deep copy of the generator, as an average is kept, and a discriminator of deep copies."""

    def networks(self) -> dict[str, nn.Module]:
        """The toy's, the average, and a transformer."""
        networks = super().networks()
        layer = nn.TransformerEncoderLayer(2, 2, 4, dropout=0.1, batch_first=True)
        encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        networks["discriminator"] = nn.Sequential(nn.Unflatten(1, (1, 2)), encoder, nn.Flatten(), nn.Linear(2, 1))
        networks["average"] = copy.deepcopy(networks["generator"]).requires_grad_(False)
        return networks


def test_deep_copies_and_transformers_are_measured() -> None:
    """PyTorch's deep copies go behind its own modes: "Mixing fake modes NYI", or the end of the process."""
    averaged: Any = Averaged()
    before = torch.Tensor.__deepcopy__
    tensors = estimate(averaged, 4).tensors
    assert tensors == estimate(averaged, 4).tensors > estimate(toys.Toy(), 4).tensors  # type: ignore[arg-type]
    assert step_operations(averaged, 4) > 0
    assert estimated_tensors(averaged, 4) == pytest.approx(traced_tensors(averaged, 4, torch.device("cpu")), rel=0.02)
    early, late = bytes_retained(averaged, 2, (2, 4), torch.device("cpu"))
    assert early == late
    assert torch.Tensor.__deepcopy__ is before


def test_a_last_batch_of_one_is_known_before_the_first_step(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The toy's generator normalises vectors by their batch, which takes two of them."""
    few = MixtureData("gaussian-grid", points=3)  # 27 samples
    monkeypatch.setattr("harness.training.resolve.open_data", lambda *_: few)
    monkeypatch.setattr(toys.Toy, "card", dataclasses.replace(toys.CARD, drop_last=False))
    with pytest.raises(ValueError, match=r"27 samples in batches of 13 leave a last batch of 1, .*drop_last"):
        train(toy_config(batch_size=13, steps=3), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert train(toy_config(batch_size=9, steps=3), tmp_path / "run").steps == 3
    monkeypatch.setattr(toys.Toy, "card", toys.CARD)
    assert train(toy_config(batch_size=13, steps=3), tmp_path / "dropped").steps == 3


def test_which_systems_take_a_single_sample() -> None:
    assert not takes_a_single_sample(toys.Toy())  # type: ignore[arg-type]
    assert takes_a_single_sample(get("mlp-gan-mnist"))
    assert takes_a_single_sample(get("pytorch-dcgan-celeba")), "it normalises planes"
