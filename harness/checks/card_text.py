"""What a reference's networks and optimisers are, as the lines of a card that would say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.checks.shapes import OPTIMIZER_SETTINGS, layer_shapes, parameter_count
from harness.training.returned import draw_samples
from harness.training.streams import GeneratorNoise
from harness.training.synthetic_step import SyntheticStep
from reference import NetworkCard, OptimizerCard, Reference, Shape

_SEEN = 2  # samples: as many as batch normalisation needs
_TWO = "    "


def network_cards(reference: Reference) -> dict[str, NetworkCard]:
    """What each network is given and gives in a step and in sampling, its layers and its trainable values.

    One that neither calls is left out.

    Raises:
        ValueError: the step or the networks can't be used.
    """
    given: dict[str, tuple[Tensor, ...]] = {}

    def watch(networks: Mapping[str, nn.Module], _: object) -> None:
        for role, network in networks.items():

            def note(_: nn.Module, arguments: tuple[Any, ...], role: str = role) -> None:
                given.setdefault(role, tuple(a.detach() for a in arguments if isinstance(a, Tensor)))

            network.register_forward_pre_hook(note)

    with torch.random.fork_rng([]):
        prepared = SyntheticStep(reference, _SEEN, torch.device("cpu"), prepare=watch)
        prepared()
        if not (reference.card.classes or reference.card.condition):
            noise = GeneratorNoise(torch.Generator().manual_seed(0))
            draw_samples(reference, prepared.networks, _SEEN, noise)
        return {
            role: _card_of(prepared.networks[role], given[role], reference.card.classes)
            for role in prepared.networks
            if role in given
        }


def optimizer_cards(reference: Reference) -> dict[str, OptimizerCard]:
    """Each role's optimiser, by its first group of parameters."""
    with torch.random.fork_rng([]):
        optimizers = SyntheticStep(reference, _SEEN, torch.device("cpu")).system.optimizers
    return {
        role: OptimizerCard(
            type(optimizer).__name__, **{name: group[name] for name in OPTIMIZER_SETTINGS if name in group}
        )
        for role, optimizer in optimizers.items()
        for group in optimizer.param_groups[:1]
    }


def card_lines(networks: Mapping[str, NetworkCard], optimizers: Mapping[str, OptimizerCard]) -> str:
    """Both as the arguments of a `Card`, ready to be pasted."""
    lines = ["networks={"]
    for role, card in networks.items():
        lines += [
            f'{_TWO}"{role}": NetworkCard(',
            f"{_TWO * 2}inputs={card.inputs!r},",
            f"{_TWO * 2}output={card.output!r},",
        ]
        lines += [f"{_TWO * 2}layers={{"]
        lines += [f'{_TWO * 3}"{name}": {shape!r},' for name, shape in card.layers.items()]
        lines += [f"{_TWO * 2}}},", f"{_TWO * 2}parameters={card.parameters},"]
        lines += [f"{_TWO * 2}classes={card.classes},"] if card.classes else []
        lines += [f"{_TWO}),"]
    lines += ["},"]
    kinds = list(dict.fromkeys(map(_called, optimizers.values())))
    if len(kinds) == 1:
        lines += [f"optimizer={kinds[0]},"]
    elif kinds:
        lines += ["optimizer={", *(f'{_TWO}"{role}": {_called(card)},' for role, card in optimizers.items()), "},"]
    return "\n".join(lines)


def _card_of(network: nn.Module, inputs: tuple[Tensor, ...], classes: int) -> NetworkCard:
    labelled = bool(classes and inputs and inputs[-1].dtype == torch.int64 and inputs[-1].dim() == 1)
    layers, output = layer_shapes(network, inputs)
    shaped = inputs[:-1] if labelled else inputs
    return NetworkCard(
        tuple(_one(tuple(tensor.shape)) for tensor in shaped),
        _one(output),
        {name: _one(shape) for name, shape in layers.items()},
        parameter_count(network),
        classes=classes if labelled else 0,
    )


def _one(shape: Shape) -> Shape:
    return tuple(shape[1:])


def _called(card: OptimizerCard) -> str:
    """As it is written in code: what differs from the card's own defaults."""
    usual = OptimizerCard(card.kind, card.lr)
    said = [
        f"{name}={getattr(card, name)!r}" for name in OPTIMIZER_SETTINGS if getattr(card, name) != getattr(usual, name)
    ]
    return f"OptimizerCard({', '.join([repr(card.kind), repr(card.lr), *said])})".replace("'", '"')
