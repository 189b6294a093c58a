from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import reference
from harness.checks.shapes import (
    initial_value_mismatches,
    layer_shapes,
    optimizer_mismatches,
    parameter_count,
    refusal_mismatches,
    shape_mismatches,
)
from harness.training.networks import guard_shapes
from reference import InitialWeights, NetworkCard, OptimizerCard
from tests.toys import CARD

SOUND = NetworkCard(((3,),), (2,), {"0": (4,), "1": (4,), "2": (2,)}, 26)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def test_layers_are_seen_by_name() -> None:
    assert layer_shapes(network(), (torch.zeros(5, 3),)) == ({"0": (5, 4), "1": (5, 4), "2": (5, 2)}, (5, 2))
    assert layer_shapes(nn.Linear(3, 1), (torch.zeros(5, 3),)) == ({"": (5, 1)}, (5, 1))
    assert parameter_count(network()) == 26


def test_looking_changes_nothing() -> None:
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    layer_shapes(norm, (torch.ones(1, 3),))
    assert all(torch.equal(v, before[k]) for k, v in norm.state_dict().items())
    assert norm[1].training


def test_a_sound_network_has_no_mismatch() -> None:
    assert shape_mismatches(network(), SOUND, 3) == []


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layers": {"0": (5,), "1": (4,), "2": (2,)}}, "0: (3, 4) instead of (3, 5)"),
        ({"layers": {"0": (4,), "1": (4,)}}, "2: (3, 2) instead of no such layer"),
        ({"layers": {"0": (4,), "1": (4,), "2": (2,), "3": (2,)}}, "3: absent instead of (3, 2)"),
        ({"output": (3,)}, "output: (3, 2) instead of (3, 3)"),
    ],
)
def test_every_wrong_shape_is_named(changes: dict[str, object], named: str) -> None:
    assert named in shape_mismatches(network(), dataclasses.replace(SOUND, **changes), 3)  # type: ignore[arg-type]


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return reference.get("handson-dcgan-mnist").networks()


def test_initial_values_as_drawn_pass() -> None:
    card = reference.get("handson-dcgan-mnist").card
    for role in card.networks:
        assert initial_value_mismatches(networks(), card, role) == []


@pytest.mark.parametrize(
    "sabotage",
    [
        lambda g: nn.init.normal_(g.main[0].weight, 0, 0.021),
        lambda g: nn.init.normal_(g.main[0].weight, 0.001, 0.02),
        lambda g: nn.init.uniform_(g.main[0].weight, -0.035, 0.035),
        lambda g: nn.init.kaiming_normal_(g.main[0].weight),
    ],
)
def test_initial_values_drawn_otherwise_are_caught(sabotage) -> None:  # type: ignore[no-untyped-def]
    card = reference.get("handson-dcgan-mnist").card
    nets = networks()
    sabotage(nets["generator"])
    lines = initial_value_mismatches(nets, card, "generator")
    assert [line.split(":")[0] for line in lines] == ["main.0.weight"]


def test_a_constant_must_be_exact_and_every_parameter_covered() -> None:
    rules = (InitialWeights("n", "0.*", "constant", 0.5),)
    card = dataclasses.replace(CARD, initial_weights=rules)
    net = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2))
    weight, bias, *_ = net.parameters()
    nn.init.constant_(weight, 0.5)
    nn.init.constant_(bias, 0.5001)
    lines = initial_value_mismatches({"n": net}, card, "n")
    assert [line.split(":")[0] for line in lines] == ["0.bias", "1.weight", "1.bias"]
    assert "doesn't say how" in lines[1]


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (lambda p: torch.optim.Adam(p, lr=3e-4, betas=(0.5, 0.999)), "generator: betas (0.5, 0.999) instead of"),
        (lambda p: torch.optim.Adam(p, lr=3e-3), "generator: lr 0.003 instead of 0.0003"),
        (lambda p: torch.optim.AdamW(p, lr=3e-4, weight_decay=0), "generator: AdamW instead of Adam"),
        (lambda p: torch.optim.SGD(p, lr=3e-4), "generator: SGD instead of Adam"),
    ],
)
def test_every_wrong_optimiser_setting_is_named(made, named: str) -> None:  # type: ignore[no-untyped-def]
    sound = reference.get("mlp-gan-mnist")
    nets = sound.networks()
    assert optimizer_mismatches(sound.optimizers(nets), sound.card) == []
    lines = optimizer_mismatches({"generator": made(nets["generator"].parameters())}, sound.card)
    assert any(line.startswith(named) for line in lines)


def test_refusals_must_happen_and_name_the_shape() -> None:
    class Silent(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, :1]

    class Obscure(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.shape[1:] != (3,):
                raise ValueError("bad input")
            return x

    assert len(refusal_mismatches(Silent(), SOUND)) == 3
    assert all("doesn't name (3,)" in line for line in refusal_mismatches(Obscure(), SOUND))
    guarded = nn.Flatten()
    guard_shapes({"generator": guarded}, dataclasses.replace(CARD, networks={"generator": SOUND}))
    assert refusal_mismatches(guarded, SOUND) == []


def test_a_network_that_looks_at_its_inputs_itself_is_not_guarded() -> None:
    growing = nn.Flatten()
    described = dataclasses.replace(SOUND, checks_inputs=True)
    guard_shapes({"generator": growing}, dataclasses.replace(CARD, networks={"generator": described}))
    assert growing(torch.ones(2, 7)).shape == (2, 7)


class Labelled(nn.Module):
    """Images and labels; `strict` refuses what it should."""

    def __init__(self, strict: bool = True) -> None:
        super().__init__()
        self.strict = strict
        self.embedding = nn.Embedding(5, 3)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        if self.strict and (x.shape[1:] != (3,) or labels.is_floating_point() or len(labels) != len(x)):
            raise ValueError(f"expects (N, 3) and N labels, not {tuple(x.shape)}, {labels.dtype}, {len(labels)}")
        moved: Tensor = x.reshape(len(x), -1)[:, :3] + self.embedding(labels.long())[:1]
        return moved


def test_a_network_with_labels_is_seen_and_its_refusals_are_tried() -> None:
    card = NetworkCard(((3,),), (3,), {"embedding": (3,)}, 15, classes=5)
    assert shape_mismatches(Labelled(), card, 4) == []
    assert refusal_mismatches(Labelled(), card) == []
    accepted = " ".join(refusal_mismatches(Labelled(strict=False), card))
    assert "labels of a float type is accepted" in accepted
    assert "a label too few is accepted" in accepted


def test_a_second_input_of_a_wrong_shape_is_tried_too() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, z: Tensor) -> Tensor:
            if x.shape[1:] != (3,):
                raise ValueError("expects (N, 3)")
            return x + z.flatten(1)[:, :1]

    lines = refusal_mismatches(Two(), NetworkCard(((3,), (2,)), (3,), {"": (3,)}, 0))
    assert lines
    assert all(line.startswith("input 1 ") for line in lines)


def test_a_network_that_meta_tensors_cannot_follow_is_run() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, : 1 + int(x.sum() * 0)]

    assert shape_mismatches(Picky(), NetworkCard(((3,),), (1,), {"": (1,)}, 0), 4) == []


def test_a_network_without_inputs_has_one_output() -> None:
    class Canvas(nn.Module):
        def forward(self) -> Tensor:
            return torch.zeros(1, 2, 2)

    assert shape_mismatches(Canvas(), NetworkCard((), (2, 2), {"": (2, 2)}, 0), 7) == []
    assert refusal_mismatches(Canvas(), NetworkCard((), (2, 2), {"": (2, 2)}, 0)) == []


def test_what_makes_a_layers_weights_is_no_layer() -> None:
    plain = network()
    wrapped = nn.Sequential(spectral_norm(plain[0]), plain[1], weight_norm(plain[2]))
    assert shape_mismatches(wrapped, SOUND, 3) == []
    assert shape_mismatches(wrapped[:2], SOUND, 3), "a layer that is missing still shows"


def test_a_card_that_says_nothing_of_layers_still_says_what_comes_out() -> None:
    short = NetworkCard(((3,),), (2,))
    assert shape_mismatches(network(), short, 3) == []
    assert shape_mismatches(network(), dataclasses.replace(short, output=(4,)), 3) == [
        "output: (3, 2) instead of (3, 4)"
    ]


def test_optimisers_of_a_kind_for_each_role() -> None:
    given = {
        "generator": torch.optim.RMSprop(network().parameters(), 1e-3, alpha=0.9),
        "discriminator": torch.optim.SGD(network().parameters(), 0.1, momentum=0.5),
    }
    right = {"generator": OptimizerCard("RMSprop", 1e-3, alpha=0.9), "discriminator": OptimizerCard("SGD", 0.1)}
    assert optimizer_mismatches(given, dataclasses.replace(CARD, optimizer=right)) == []
    wrong = {
        "generator": OptimizerCard("Adam", 1e-3, (0.9, 0.999), alpha=0.99),
        "discriminator": OptimizerCard("SGD", 0.1, momentum=0.9),
        "critic": OptimizerCard("SGD", 0.1),
    }
    assert optimizer_mismatches(given, dataclasses.replace(CARD, optimizer=wrong)) == [
        "critic: no optimiser, the card has one",
        "generator: RMSprop instead of Adam",
        "generator: alpha 0.9 instead of 0.99",
        "discriminator: momentum 0.5 instead of 0.9",
    ]
    assert optimizer_mismatches(given, dataclasses.replace(CARD, optimizer=None)) == []
