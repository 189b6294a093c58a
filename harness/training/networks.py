"""A reference's networks, fresh and with every size known: lazy layers take theirs from a step with other ones."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes

from harness.training.drawn import drawn_batch
from harness.training.player import make_players
from harness.training.returned import check_networks, made_optimizers
from harness.training.streams import GeneratorNoise, Streams
from reference import Reference

_CPU = torch.device("cpu")
_ENOUGH = 2  # samples that tell a layer's sizes; batch normalisation takes no fewer
_made: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def made_networks(reference: Reference) -> dict[str, nn.Module]:
    """Fresh networks by role.

    Lazy layers are initialised in the order of the roles and of their modules, after all others.

    Raises:
        ValueError: it returns something else, the same ones as before, or lazy layers that no step gives a size.
    """
    try:
        networks = _all_sized(reference)
    except RuntimeError as error:
        if "Uninitialized" not in str(error):
            raise
        with _disable_current_modes():
            networks = _all_sized(reference)  # lazy layers can't be made without values: with values, then
        networks = copy.deepcopy(networks)  # and a copy that has none
    for role, network in networks.items():
        if network in _made:
            name = reference.card.name
            raise ValueError(
                f"networks() of {name} must make new networks each time; its {role} is one that it made before"
            )
    _made.update(networks.values())
    return networks


def drawn_networks(reference: Reference, seed: int, device: torch.device) -> dict[str, nn.Module]:
    """The networks that a run with this seed starts from."""
    with Streams(seed, _CPU).initialising():
        return {role: network.to(device) for role, network in made_networks(reference).items()}


def _all_sized(reference: Reference) -> dict[str, nn.Module]:
    networks = check_networks(reference, reference.networks())
    if _has_lazy(networks):
        _give_sizes(reference, networks)
    return networks


def _has_lazy(networks: Mapping[str, nn.Module]) -> bool:
    """Whether there are parameters or buffers without a size."""
    return any(is_lazy(tensor) for n in networks.values() for tensor in (*n.parameters(), *n.buffers()))


def _give_sizes(reference: Reference, networks: Mapping[str, nn.Module]) -> None:
    """Initialise lazy layers for what reaches their like in one sampling and one step of others."""
    seen: dict[tuple[str, str], tuple[Any, Any]] = {}
    why = ""
    with torch.random.fork_rng([]):
        own = copy.deepcopy(reference)  # which may count its steps
        others = check_networks(own, own.networks())  # PyTorch can't copy buffers without a size
        for role, network in others.items():
            for name, module in network.named_modules():
                if isinstance(module, LazyModuleMixin):
                    cast(nn.Module, module).register_forward_pre_hook(
                        _Seeing(seen, role, name), with_kwargs=True, prepend=True
                    )
        batch, noise = drawn_batch(own.card, _ENOUGH, _CPU), GeneratorNoise(torch.Generator().manual_seed(0))
        try:
            own.sample(others, _ENOUGH, noise, batch.labels, batch.condition)
            own.step(make_players(others, made_optimizers(own, others)), batch, noise)
        except Exception as error:
            why = f": {error}"
        del own, others
    gc.collect()  # layers and optimisers hold themselves, and are nothing that a step holds
    for role, network in networks.items():
        for name, module in network.named_modules():
            if isinstance(module, LazyModuleMixin) and (role, name) in seen:
                given, named = seen[role, name]
                cast(Any, module)._infer_parameters(module, given, named)  # and it is an ordinary layer from now on
    if left := [role for role, network in networks.items() if _has_lazy({role: network})]:
        raise ValueError(
            f"networks() of {reference.card.name} must return networks whose sizes are known or follow from a sample "
            f"and a step; in {' and '.join(left)} are lazy layers that don't{why}"
        )


class _Seeing:
    """A forward pre-hook that keeps what a layer is given first."""

    def __init__(self, seen: dict[tuple[str, str], tuple[Any, Any]], role: str, name: str) -> None:
        self.seen, self.key = seen, (role, name)

    def __call__(self, _: nn.Module, given: Any, named: Any) -> None:
        self.seen.setdefault(self.key, (given, named))
