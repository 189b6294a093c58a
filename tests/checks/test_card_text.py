from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import reference
from harness.checks.card_text import card_lines, network_cards, optimizer_cards
from reference import NetworkCard, OptimizerCard
from tests.toys import Toy


@pytest.mark.parametrize(
    "spec", ["mlp-gan-mnist", "idl-cond-wgan-gp-mnist", "idl-ex3-encoder-wgan-gp-mnist", "handson-dcgan-mnist"]
)
def test_what_is_seen_is_what_the_shipped_cards_say(spec: str) -> None:
    chosen = reference.get(spec)
    seen = network_cards(chosen)
    for role, card in chosen.card.networks.items():
        assert (seen[role].inputs, seen[role].output) == (card.inputs, card.output)
        assert dict(seen[role].layers) == dict(card.layers)
        assert (seen[role].parameters, seen[role].classes) == (card.parameters, card.classes)
    assert set(optimizer_cards(chosen).values()) == {chosen.card.optimizer}


def test_the_lines_are_code_that_says_the_same() -> None:
    chosen = reference.get("mlp-gan-mnist")
    text = card_lines(network_cards(chosen), optimizer_cards(chosen))
    given = eval(f"dict({text})", {"NetworkCard": NetworkCard, "OptimizerCard": OptimizerCard})
    assert given == {"networks": network_cards(chosen), "optimizer": chosen.card.optimizer}


class Uneven(Toy):
    """An optimiser of its own for each player, and a network that nobody calls."""

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), "idle": nn.Linear(2, 2)}

    def optimizers(self, networks: Any) -> dict[str, torch.optim.Optimizer]:
        return {
            "generator": torch.optim.RMSprop(networks["generator"].parameters(), 1e-3),
            "discriminator": torch.optim.SGD(networks["discriminator"].parameters(), 0.1, momentum=0.9),
        }


def test_each_role_has_its_own_line() -> None:
    uneven: Any = Uneven()
    assert "idle" not in network_cards(uneven)
    text = card_lines(network_cards(uneven), optimizer_cards(uneven))
    assert '"discriminator": OptimizerCard("SGD", 0.1, momentum=0.9, nesterov=False),' in text
    assert '"generator": OptimizerCard("RMSprop", 0.001, momentum=0, alpha=0.99),' in text
