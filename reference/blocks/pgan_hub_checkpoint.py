"""The checkpoint file of the hub's progressive GANs (facebookresearch/pytorch_GAN_zoo), read without running its code.

The file holds `netG`, `netD` and `avgG`, each names to tensors, and `config`, an object of the hub's own class. A
pickle may name any function to be called on reading; this reader knows tensors, plain containers and that one class,
replaced by an empty one, and refuses everything else.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reference.blocks.wrapped import unwrapped

CONFIGURATION_CLASS = "models.utils.config.BaseConfig"
_MAX_NAMED = 3


class HubConfiguration:
    """Stands in for the hub's class of this name: attributes and nothing else."""


def read_hub_checkpoint(path: str, generator: nn.Module, critic: nn.Module) -> None:
    """Load the file at `path` into both networks.

    Raises:
        ValueError: no such file, not such a checkpoint, code in it, or tensors that are missing, extra or misshapen.
    """
    content = _read(Path(path))
    parts = [("netG", generator), ("netD", critic)]
    if "avgG" in content:
        parts.append(("avgG", generator))
    missing = [part for part, _ in parts if not isinstance(content.get(part), Mapping)]
    if missing:
        raise ValueError(f"{path} isn't a checkpoint of the hub's PGAN: it has no {' and no '.join(missing)}")
    fitting = {
        part: _fitting(path, part, unwrapped(content[part], f"{part} in {path}"), network) for part, network in parts
    }
    generator.load_state_dict(fitting["netG"])
    critic.load_state_dict(fitting["netD"])


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ValueError(f"the checkpoint {path} isn't a file")
    allowed: list[Any] = [(HubConfiguration, CONFIGURATION_CLASS)]
    try:
        # What PyTorch warns of in an odd file is said by the error, or doesn't matter.
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message advises to load with code; the first name in it is what the file wanted.
        raise ValueError(f"{path} is refused, nothing in it was run: {_wanted(str(error))}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise ValueError(f"{path} can't be read as a checkpoint: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} isn't a checkpoint of the hub's PGAN: it holds a {type(content).__name__}")
    return content


def _wanted(message: str) -> str:
    for mark in ("Unsupported global: GLOBAL ", "GLOBAL "):
        if mark in message:
            return f"it holds code or a foreign object, {message.split(mark)[1].split()[0]}"
    return "it holds code, a foreign object, or isn't a checkpoint"


def _fitting(path: str, part: str, tensors: Mapping[str, Any], network: nn.Module) -> dict[str, Tensor]:
    """The part's tensors under the network's names, all of them and nothing else."""
    expected = network.state_dict()
    found = {_present_name(str(name), expected): tensor for name, tensor in tensors.items()}
    if len(found) < len(tensors):
        raise ValueError(f"{path}: {part} doesn't fit: it holds a tensor twice, with and without its inner module")
    wrong = [f"misses {name} {tuple(tensor.shape)}" for name, tensor in expected.items() if name not in found]
    for name, tensor in found.items():
        if name not in expected:
            wrong.append(f"has {name}, which the network hasn't")
        elif not isinstance(tensor, Tensor):
            wrong.append(f"{name} is a {type(tensor).__name__}, not a tensor")
        elif tensor.shape != expected[name].shape:
            wrong.append(f"{name} has the shape {tuple(tensor.shape)}, not {tuple(expected[name].shape)}")
        elif not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            wrong.append(f"{name} holds values that aren't finite numbers")
    if wrong:
        more = f"; and {len(wrong) - _MAX_NAMED} more" if len(wrong) > _MAX_NAMED else ""
        raise ValueError(f"{path}: {part} doesn't fit: {'; '.join(wrong[:_MAX_NAMED])}{more}")
    return found


def _present_name(name: str, expected: Mapping[str, Tensor]) -> str:
    """Files of different age name an equalised layer's tensors with or without the layer inside it."""
    layer, _, kind = name.rpartition(".")
    inside = f"{layer}.module.{kind}"
    return inside if name not in expected and inside in expected else name
