"""Weights that somebody else has trained, for a reference's networks: `REFERENCE@weights=FILE`.

The file is a `state_dict` as PyTorch saves it, or safetensors; nothing in it is executed. It may lie within other
things ("state_dict", "netG", …), and its names may begin with what wrappers add.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.files.tensors import read_tensors
from harness.training.networks import drawn_networks
from reference import Reference, get, names

_log = logging.getLogger(__name__)

OPTION = "weights"
WEIGHT_FILES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
_WRAPPERS = ("module.", "_orig_mod.", "_forward_module.")  # of DataParallel, torch.compile, Fabric
_COUNTED = "num_batches_tracked"  # by batch normalisation from PyTorch 0.4.1 on; older files lack it
_FEW = 6  # names of a list
UNTOLD = "what has no values, an activation and its slope, say, no weights tell: that is the reference's"

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class GivenWeights:
    """What a file holds: sets of named tensors, each by its place in the file.

    Attributes:
        digest: the first 16 digits of the file's SHA-256.
    """

    file: Path
    digest: str
    states: Mapping[str, State]


def without_weights(spec: str) -> tuple[str, Path | None]:
    """The spec without `weights=FILE`, and the file; None where it names none, or has an option of that name itself."""
    name, _, written = spec.partition("@")
    options = written.split(",") if written else []
    given = [option for option in options if option.startswith(f"{OPTION}=")]
    if not given or (name in names() and OPTION in getattr(get(name), "__dataclass_fields__", {})):
        return spec, None
    others = ",".join(option for option in options if option not in given)
    return name + (f"@{others}" if others else ""), Path(given[-1].removeprefix(f"{OPTION}="))


def read_weights(file: Path) -> GivenWeights:
    """What the file holds.

    Raises:
        ValueError: no such file, no weights in it, or something that would have to be executed.
    """
    if not file.is_file():
        raise ValueError(f"the weights {file} aren't a file")
    try:
        content: Any = (
            read_tensors(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        )
    except Exception as error:  # whatever PyTorch's reader says of bytes that are something else
        if isinstance(error, pickle.UnpicklingError) and "weights_only" in str(error):
            raise ValueError(
                f"the weights {file} hold objects beside tensors, which would have to be executed: save "
                "`model.state_dict()` alone"
            ) from error
        raise ValueError(f"the weights {file} are no state_dict as PyTorch saves it, nor safetensors") from error
    states = dict(_states(content))
    if not states:
        raise ValueError(f"the weights {file} hold no named tensors: save `model.state_dict()`")
    return GivenWeights(file, hashlib.sha256(file.read_bytes()).hexdigest()[:16], states)


def load_weights(networks: Mapping[str, nn.Module], given: GivenWeights, owner: str) -> str:
    """Put them into whichever of the networks they fit, the generator at least; what was done, in a line.

    Raises:
        ValueError: they don't fit: what is missing, unexpected, of another shape, and which references they would fit.
    """
    done: dict[str, str] = {}
    for role, network in networks.items():
        fitting = [(place, state) for place, state in given.states.items() if not _mismatches(network, state)]
        # Of several, the one whose place names the role: a generator and its average have the same shapes.
        fitting.sort(key=lambda found: role.lower() not in found[0].lower())
        if fitting:
            place, state = fitting[0]
            missing = [name for name in network.state_dict() if name not in state]
            network.load_state_dict(state, strict=False)
            done[role] = f"{role} from {place}" + (f", without {_listed(missing)}" if missing else "")
    main = "generator" if "generator" in networks else next(iter(networks))
    if main not in done:
        raise ValueError(
            f"{given.file} doesn't fit the {main} of {owner}: {_complaint(networks[main], given)}; {fits_line(given)}"
        )
    return f"{given.file.name}: {'; '.join(done.values())}"


def fits_line(given: GivenWeights) -> str:
    """Which references they fit, and how to name them."""
    found = list(_fitting(given))
    if not found:
        return (
            "it fits no reference here: write a function that loads it, `def generate(n, seed): return images`, and "
            "evaluate my_module:generate"
        )
    whom = ", ".join(f"{name}'s {role}" for name, role in found)
    return f"it fits {whom}: name it as '{found[0][0]}@{OPTION}={given.file}'"


def _fitting(given: GivenWeights) -> Iterator[tuple[str, str]]:
    """References and roles, by the shapes of their tensors alone."""
    for name in names():
        try:
            networks = _shaped(get(name)).items()
            fitting = [r for r, n in networks if any(not _mismatches(n, state) for state in given.states.values())]
        except Exception as error:  # one whose networks need files of their own, or whose layers have no sizes yet
            _log.debug(f"{name} isn't looked at: {error}")
            continue
        for role in fitting:
            yield name, role


def _shaped(reference: Reference) -> dict[str, nn.Module]:
    """Its networks without values, where they can be made so; a growing one, or what reads a file, as it is."""
    with torch.random.fork_rng([]), torch.device("meta"):
        return reference.networks()


def _states(content: Any, place: str = "") -> Iterator[tuple[str, State]]:
    """Every set of named tensors within, wrappers' prefixes gone; also what lies under one prefix of a larger one."""
    if not isinstance(content, Mapping):
        return
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        plain, stripped = _unwrapped(tensors)
        yield (place or "the file") + _said(stripped), plain
        for prefix in dict.fromkeys(name.partition(".")[0] for name in plain):
            below = {n.partition(".")[2]: t for n, t in plain.items() if n.startswith(f"{prefix}.")}
            if below and len(below) < len(plain):
                inner, more = _unwrapped(below)
                yield _joined(place, prefix) + _said([*stripped, *more]), inner
    for name, value in content.items():
        yield from _states(value, _joined(place, str(name)))


def _unwrapped(tensors: State) -> tuple[State, list[str]]:
    stripped: list[str] = []
    while found := next((w for w in _WRAPPERS if tensors and all(name.startswith(w) for name in tensors)), ""):
        tensors = {name.removeprefix(found): value for name, value in tensors.items()}
        stripped.append(found)
    return tensors, stripped


def _mismatches(network: nn.Module, state: State) -> list[str]:
    """What of a state doesn't fit, a line each."""
    own = {name: tuple(value.shape) for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    lines = [f"missing {name}" for name in own if name not in state and not name.endswith(_COUNTED)]
    lines += [f"unexpected {name}" for name in state if name not in own]
    lines += [
        f"{name} is {tuple(state[name].shape)}, not {shape}"
        for name, shape in own.items()
        if name in state and tuple(state[name].shape) != shape
    ]
    return lines


def _complaint(network: nn.Module, given: GivenWeights) -> str:
    """What doesn't fit of the set that comes nearest."""
    nearest: list[str] = min(
        (_mismatches(network, state) for state in given.states.values()), key=lambda lines: len(lines)
    )
    return "; ".join(nearest)


def _said(stripped: list[str]) -> str:
    return f" (names without {', '.join(stripped)})" if stripped else ""


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _listed(found: list[str]) -> str:
    more = f" and {len(found) - _FEW} more" if len(found) > _FEW else ""
    return ", ".join(found[:_FEW]) + more


def weighted_networks(
    reference: Reference, given: GivenWeights, device: torch.device
) -> tuple[dict[str, nn.Module], str]:
    """A reference's networks with these weights, as drawn with its card's seed where the file has none; what was done.

    Raises:
        ValueError: as `load_weights`.
    """
    networks = drawn_networks(reference, reference.card.seed, torch.device("cpu"))
    told = load_weights(networks, given, reference.card.name)
    return {role: network.to(device) for role, network in networks.items()}, told
