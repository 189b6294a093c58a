"""What a reference returns, looked at when it comes: a slip in one's own is a line that names what must be returned."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from reference import Noise, Reference

PLACE = ("step", "epoch", "step_in_epoch")  # what each row of metrics holds beside the values


def check_networks(reference: Reference, found: Any) -> dict[str, nn.Module]:
    """What `networks()` returned, by role.

    Raises:
        ValueError: it is something else.
    """
    name = reference.card.name
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"networks() of {name} must return a dict of networks by role, not {_shown(found)}")
    for role, network in found.items():
        if not isinstance(role, str) or not isinstance(network, nn.Module):
            raise ValueError(f"networks() of {name} must return nn.Modules by role, and {role!r} is {_shown(network)}")
        if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()) if not is_lazy(tensor)):
            raise ValueError(f"networks() of {name} must return networks with values; {role!r} has some on meta")
    return dict(found)


def made_optimizers(reference: Reference, networks: Mapping[str, nn.Module]) -> dict[str, torch.optim.Optimizer]:
    """The optimisers by role.

    Raises:
        ValueError: it returns something else, or one for a role that isn't there.
    """
    found: Any = reference.optimizers(networks)
    name = reference.card.name
    learns = any(p.requires_grad for network in networks.values() for p in network.parameters())
    if not isinstance(found, Mapping) or (learns and not found):
        raise ValueError(f"optimizers() of {name} must return a dict of optimisers by role, not {_shown(found)}")
    for role, optimizer in found.items():
        if not isinstance(optimizer, torch.optim.Optimizer):
            shown = _shown(optimizer)
            raise ValueError(f"optimizers() of {name} must return optimisers by role, and {role!r} is {shown}")
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ValueError(
                f"optimizers() of {name} can't use LBFGS for the {role}: it asks for a closure that computes the loss "
                "again and again, and a player's step has none"
            )
        if role not in networks:
            raise ValueError(
                f"optimizers() of {name} must use the roles of networks(), {', '.join(networks)}, and has {role!r}"
            )
    return dict(found)


def check_values(reference: Reference, values: Any, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Refuse what a step returns unless it is scalars by name, the same names each time; returns the names.

    Args:
        names: those of the first step, None for it.

    Raises:
        ValueError: something else was returned.
    """
    name = reference.card.name
    if not isinstance(values, Mapping) or not values:
        raise ValueError(
            f"step() of {name} must return its losses by name, as in {{'loss_generator': loss.detach()}}, not "
            f"{_shown(values)}"
        )
    found = tuple(values)
    if names is not None and found != names:
        raise ValueError(
            f"step() of {name} must return the same names each time: {', '.join(names)} before, now {', '.join(found)}"
        )
    for key, value in values.items():
        if not isinstance(key, str):
            raise ValueError(f"step() of {name} must name its values with texts, and one is called {key!r}")
        if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex() or value.is_meta:
            raise ValueError(
                f"step() of {name} must return tensors of one real value, and {key!r} is {_shown(value)}"
                + ("; return the loss detached, without .item()" if isinstance(value, int | float) else "")
            )
    if names is None:
        if len(devices := {str(value.device) for value in values.values()}) > 1:
            raise ValueError(f"step() of {name} must return values on one device, and has {' and '.join(devices)}")
        taken = [key for key in found if key in PLACE]
        if taken:
            raise ValueError(f"step() of {name} must not call a value {taken[0]!r}: that is where a row stands")
    return found


def draw_samples(
    reference: Reference,
    networks: Mapping[str, nn.Module],
    n: int,
    noise: Noise,
    labels: Tensor | None = None,
    condition: Tensor | None = None,
) -> Tensor:
    """`n` samples (n, …) in the card's arrangement; `labels` and `condition` go to a `sample` that takes them.

    Raises:
        ValueError: `sample` takes no labels though its card names classes, or returns something else than a tensor of
            n samples in the card's arrangement; a growing network's may be smaller.
    """
    card = reference.card
    takes = inspect.signature(reference.sample).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
    if card.classes and not anything and "labels" not in takes:
        raise ValueError(f"sample() of {card.name} must take labels=None: its card names {card.classes} classes")
    given = {"labels": labels, "condition": condition}
    samples: Any = reference.sample(
        networks, n, noise, **{name: value for name, value in given.items() if anything or name in takes}
    )
    if isinstance(samples, Tensor) and samples.dim() == 1 + len(card.data_shape) and len(samples) == n:
        channels = 1 if len(card.data_shape) == 3 else 0
        if samples.shape[1 : 1 + channels] == card.data_shape[:channels]:
            return samples
    wanted = ", ".join(map(str, (n, *card.data_shape)))
    raise ValueError(f"sample() of {card.name} must return a tensor of shape ({wanted}), not {_shown(samples)}")


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, Mapping | list | tuple) and not value:
        return f"an empty {kind}"
    return "nothing" if value is None else f"a {kind}"
