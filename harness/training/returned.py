"""What a reference returns, looked at when it comes: a slip in one's own is a line that names what must be returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reference import Reference

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
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError(
                f"step() of {name} must return tensors of one value, and {key!r} is {_shown(value)}"
                + ("; torch.as_tensor makes one of it" if isinstance(value, int | float) else "")
            )
    if names is None:
        taken = [key for key in found if key in PLACE]
        if taken:
            raise ValueError(f"step() of {name} must not call a value {taken[0]!r}: that is where a row stands")
    return found


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, Mapping | list | tuple) and not value:
        return f"an empty {kind}"
    return "nothing" if value is None else f"a {kind}"
