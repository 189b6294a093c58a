"""Tensors in files, as safetensors, by way of their bytes: its library takes no path that isn't UTF-8."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from harness.files.writing import appearing

__all__ = ["SafetensorError", "read_metadata", "read_tensors", "save", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Make a file of tensors by name appear, from any device and in any layout; returns what it holds."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        place = here.untyped_storage().data_ptr()
        # The format refuses two names for the same memory, as tied weights have, and parts of larger memory.
        whole = place not in seen and here.untyped_storage().nbytes() == here.nbytes
        apart[name] = here if whole else here.clone()
        seen.add(place)
    content: bytes = save(apart, None if metadata is None else dict(metadata))
    with appearing(path) as stream:
        stream.write(content)
    return content


def read_tensors(path: Path, content: bytes | None = None) -> dict[str, Tensor]:
    """The tensors by name, on the CPU; `content` where the file has been read already.

    Raises:
        OSError: it can't be read.
        SafetensorError: it holds something else, or is cut off.
    """
    found: dict[str, Tensor] = load(path.read_bytes() if content is None else content)
    return found


def read_metadata(path: Path) -> dict[str, str]:
    """What was written beside the tensors.

    Raises:
        OSError, SafetensorError: as `read_tensors`.
    """
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        try:
            header = json.loads(stream.read(min(size, path.stat().st_size)))
            return dict(header.get("__metadata__", {}))
        except (ValueError, TypeError, AttributeError) as error:
            raise SafetensorError(f"its header can't be read: {error}") from error
