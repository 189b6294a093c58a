"""A reference's networks, fresh and with every size known: lazy layers take theirs from a step with other ones."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from harness.training.player import make_players
from harness.training.returned import check_networks, draw_samples, made_optimizers
from harness.training.streams import GeneratorNoise, Streams
from harness.training.synthetic_batch import synthetic_batch
from reference import Card, Reference, Shape

_CPU = torch.device("cpu")
_ENOUGH = 2  # samples that tell a layer's sizes for most; batch normalisation takes no fewer
_made: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # layers that learn


def made_networks(reference: Reference) -> dict[str, nn.Module]:
    """Fresh networks by role.

    Lazy layers are initialised in the order of the roles and of their modules, after all others.

    Raises:
        ValueError: it returns something else, the same ones as before, or lazy layers that no step gives a size.
    """
    try:
        networks = _all_sized(reference)
    except RuntimeError:
        if not _get_current_dispatch_mode_stack():
            raise
        # Lazy layers can't be made without values, nor can others be converted, as `.double()` does.
        with _disable_current_modes():
            networks = _all_sized(reference)
        networks = copy.deepcopy(networks)
    learning = {role: [m for m in network.modules() if _learns(m)] for role, network in networks.items()}
    if old := [role for role, modules in learning.items() if any(module in _made for module in modules)]:
        raise ValueError(
            f"networks() of {reference.card.name} must make new networks each time; in its {old[0]} are layers that it "
            "made before"
        )
    _made.update(module for modules in learning.values() for module in modules)
    guard_shapes(networks, reference.card)
    return networks


def guard_shapes(networks: Mapping[str, nn.Module], card: Card) -> None:
    """Make each network refuse inputs of another shape than its card's, naming what was expected.

    The guards are forward pre-hooks: names of parameters and the printed text stay as the document's. A network that
    the card doesn't describe, or that looks at its inputs itself, gets none.
    """
    for role, network in networks.items():
        described = card.networks.get(role)
        if described is not None and not described.checks_inputs:
            network.register_forward_pre_hook(_ShapeGuard(f"the {role} of {card.name}", described.inputs))


class _ShapeGuard:
    """A forward pre-hook; a class, so that guarded networks can be copied and pickled."""

    def __init__(self, owner: str, inputs: tuple[Shape, ...]) -> None:
        self.owner, self.inputs = owner, inputs

    def __call__(self, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        for argument, shape in zip(arguments, self.inputs, strict=False):
            if isinstance(argument, Tensor) and tuple(argument.shape[1:]) != shape:
                expected = ", ".join(map(str, ("N", *shape)))
                raise ValueError(f"{self.owner} expects input of shape ({expected}), not {tuple(argument.shape)}")


def _learns(module: nn.Module) -> bool:
    """Whether it has weights of its own that a training changes: others may be loaded once and used again."""
    return any(parameter.requires_grad for parameter in module.parameters(recurse=False))


def drawn_networks(reference: Reference, seed: int, device: torch.device) -> dict[str, nn.Module]:
    """The networks that a run with this seed starts from."""
    with Streams(seed, _CPU).initialising():
        return {role: network.to(device) for role, network in made_networks(reference).items()}


def _all_sized(reference: Reference) -> dict[str, nn.Module]:
    try:
        networks = check_networks(reference, reference.networks())
    except ValueError as error:
        if "uninitialized parameter" not in str(error):
            raise
        raise ValueError(
            f"networks() of {reference.card.name} uses lazy layers before their sizes are known, to copy or to change "
            "them: name the sizes there"
        ) from error
    if _has_lazy(networks):
        _give_sizes(reference, networks)
    return networks


def _has_lazy(networks: Mapping[str, nn.Module]) -> bool:
    """Whether there are parameters or buffers without a size."""
    return any(is_lazy(tensor) for n in networks.values() for tensor in (*n.parameters(), *n.buffers()))


def _give_sizes(reference: Reference, networks: Mapping[str, nn.Module]) -> None:
    """Initialise lazy layers for what reaches their like in one sampling and one step of others."""
    why = ""
    for samples in (_ENOUGH, reference.card.batch_size):  # a critic may look at several samples at once
        with torch.random.fork_rng([]):
            seen, why = _given_to_lazy(reference, samples)
        for role, network in networks.items():
            for name, module in network.named_modules():
                if (role, name) in seen and hasattr(module, "_initialize_hook"):
                    given, named = seen[role, name]
                    try:
                        cast(Any, module)._infer_parameters(module, given, named)  # an ordinary layer from now on
                    except Exception as error:
                        why = f": {error}"
        if not _has_lazy(networks):
            break
    gc.collect()  # the others, which hold themselves: whoever follows what is made here would count them
    if left := [role for role, network in networks.items() if _has_lazy({role: network})]:
        raise ValueError(
            f"networks() of {reference.card.name} must return networks whose sizes are known or follow from a sample "
            f"and a step; in {' and '.join(left)} are lazy layers that don't{why}"
        )


def _given_to_lazy(reference: Reference, samples: int) -> tuple[dict[tuple[str, str], tuple[Any, Any]], str]:
    """What lazy layers of other networks are given first, by role and name; and what kept some from being reached."""
    own = copy.deepcopy(reference)  # which may count its steps
    others = check_networks(own, own.networks())  # PyTorch can't copy buffers without a size
    seen: dict[tuple[str, str], tuple[Any, Any]] = {}
    for role, network in others.items():
        for name, module in network.named_modules():
            if isinstance(module, LazyModuleMixin):
                hook = _Seeing(seen, role, name)
                cast(nn.Module, module).register_forward_pre_hook(hook, with_kwargs=True, prepend=True)
    batch, noise = synthetic_batch(own.card, samples, _CPU), GeneratorNoise(torch.Generator().manual_seed(0))
    why = ""
    for take in (
        lambda: draw_samples(own, others, samples, noise, batch.labels, batch.condition),
        lambda: own.step(make_players(others, made_optimizers(own, others)), batch, noise),
    ):
        try:
            take()
        except Exception as error:
            why = f": {error}"
    return seen, why


class _Seeing:
    """A forward pre-hook that keeps what a layer is given first."""

    def __init__(self, seen: dict[tuple[str, str], tuple[Any, Any]], role: str, name: str) -> None:
        self.seen, self.key = seen, (role, name)

    def __call__(self, _: nn.Module, given: Any, named: Any) -> None:
        self.seen.setdefault(self.key, (given, named))
