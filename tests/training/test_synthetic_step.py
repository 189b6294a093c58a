from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from harness.training.player import EnginePlayer
from harness.training.synthetic_batch import synthetic_batch
from harness.training.synthetic_step import SyntheticStep, check_batch_size
from reference import Card, get
from tests.toys import CARD, Toy

TOY: Any = Toy()
CPU = torch.device("cpu")


def stepped(times: int, batch: int = 6) -> dict[str, float]:
    with torch.random.fork_rng([]):
        prepared = SyntheticStep(TOY, batch, CPU)
        for _ in range(times):
            losses = prepared()
    return {name: value.item() for name, value in losses.items()}


def test_each_call_is_one_step_and_the_start_follows_from_the_cards_seed() -> None:
    torch.manual_seed(1)
    first = stepped(2)
    torch.manual_seed(2)
    assert stepped(2) == first
    assert stepped(1) != first


def test_another_seed_on_the_card_starts_elsewhere() -> None:
    class Seeded(Toy):
        card = dataclasses.replace(CARD, seed=1)

    toys: list[Any] = [Toy(), Seeded()]
    with torch.random.fork_rng([]):
        weights = [next(SyntheticStep(toy, 4, CPU).networks["generator"].parameters()) for toy in toys]
    assert not torch.equal(*weights)


def test_roles_with_an_optimiser_are_players_and_others_are_handed_over() -> None:
    with torch.random.fork_rng([]):
        prepared = SyntheticStep(get("style-transfer", size=16), 1, CPU)
    assert type(prepared.players.picture) is EnginePlayer
    assert prepared.players.features is prepared.networks["features"]
    assert isinstance(prepared.players.features, nn.Module)


def test_players_and_preparation_are_the_callers() -> None:
    seen: list[str] = []

    class Named(EnginePlayer):
        pass

    def make(role: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> EnginePlayer:
        seen.append(role)
        return Named(network, optimizer)

    with torch.random.fork_rng([]):
        prepared = SyntheticStep(
            TOY, 4, CPU, make_player=make, prepare=lambda networks, optimizers: seen.extend([*networks, *optimizers])
        )
        prepared()
    assert seen == ["generator", "discriminator"] * 3, "prepared before there are players"
    assert isinstance(prepared.players.generator, Named)


@pytest.mark.parametrize(
    ("card", "labels", "condition"),
    [
        (CARD, False, False),
        (get("idl-cond-wgan-gp-mnist").card, True, False),
        (get("idl-ex6-pix2pix", size=64).card, False, True),
    ],
)
def test_a_drawn_batch_has_the_cards_shape_and_range(card: Card, labels: bool, condition: bool) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        batch = synthetic_batch(card, 50, CPU)
    assert batch.data.shape == (50, *card.data_shape)
    assert batch.data.dtype == torch.float32
    low, high = card.data_range
    assert low <= batch.data.min() < low + (high - low) / 4
    assert high - (high - low) / 4 < batch.data.max() <= high
    assert (batch.labels is not None, batch.condition is not None) == (labels, condition)
    if batch.labels is not None:
        assert batch.labels.dtype == torch.int64
        assert set(batch.labels.tolist()) <= set(range(card.classes))
        assert len(set(batch.labels.tolist())) > card.classes / 2
    if batch.condition is not None:
        assert batch.condition.shape == batch.data.shape
        assert not torch.equal(batch.condition, batch.data)


@pytest.mark.parametrize("batch_size", [0, -1, -3])
def test_a_batch_of_less_than_one_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"^a batch size must be 1 or more, not {batch_size}$"):
        check_batch_size(batch_size, CARD)


def test_a_batch_larger_than_the_data_set_is_refused() -> None:
    check_batch_size(1, CARD)
    check_batch_size(10**9, CARD)
    check_batch_size(2000, CARD, 2000)
    with pytest.raises(ValueError, match=r"^a batch of 2001 is larger than the data set of toy-grid: 2,000 samples$"):
        check_batch_size(2001, CARD, 2000)
