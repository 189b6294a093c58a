"""What a training has come to, as digests by name: of whatever it returned, or of the files that it left."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.files.tensors import read_tensors
from harness.training.state import digest

Digests = Mapping[str, str]
_LEFT = (".pt", ".pth", ".safetensors")


def digests_of(returned: Any, folder: Path) -> Digests:
    """A digest of every tensor and number, by its place.

    Raises:
        ValueError: there is none.
    """
    if returned is None:
        files = sorted(path for path in folder.rglob("*") if path.suffix in _LEFT)
        returned = {str(path.relative_to(folder)): _content(path) for path in files}
    found = dict(_digests(returned, ""))
    if not found:
        raise ValueError(
            "train() returns nothing that decides, and leaves no .pt, .pth or .safetensors in its folder: return the "
            "networks, or their state_dicts"
        )
    return found


def _content(path: Path) -> Any:
    return read_tensors(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)


def _digests(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Names in the order in which they stand: the first that differs is the one that matters."""
    match value:
        case Tensor():
            yield place or "the tensor", digest(value)
        case np.ndarray() | np.generic():
            yield place or "the array", digest(torch.from_numpy(np.array(value)))
        case nn.Module() | torch.optim.Optimizer():
            yield from _digests(value.state_dict(), place)
        case Mapping():
            for name, item in value.items():
                yield from _digests(item, f"{place}.{name}" if place else str(name))
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _digests(item, f"{place}[{number}]")
        case bool() | int() | float() | str():
            yield place or "the value", f"{zlib.crc32(repr(value).encode()):08x}"
