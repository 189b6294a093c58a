"""The IDX format of MNIST's files, gzipped or not. Layout: http://yann.lecun.com/exdb/mnist (archived)."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UINT8 = 0x08


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in `path`, with `dimensions` axes.

    Raises:
        ValueError: not an IDX file of bytes with that many axes, or shorter or longer than its header says.
    """
    raw = _decompressed(path)
    header = 4 + 4 * dimensions
    if len(raw) < header:
        raise ValueError(f"{path} is truncated: {len(raw)} bytes, its header alone needs {header}")
    magic = struct.unpack(">I", raw[:4])[0]
    expected = _UINT8 << 8 | dimensions
    if magic != expected:
        raise ValueError(f"{path} has the magic number {magic:#010x}, not {expected:#010x} ({dimensions}-d bytes)")
    shape = struct.unpack(f">{dimensions}I", raw[4:header])
    size = int(np.prod(shape, dtype=np.int64))
    if len(raw) - header != size:
        state = "truncated" if len(raw) - header < size else "too long"
        raise ValueError(f"{path} is {state}: its header announces {size} bytes {shape}, it holds {len(raw) - header}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array` as an uncompressed IDX file."""
    header = struct.pack(f">{1 + array.ndim}I", _UINT8 << 8 | array.ndim, *array.shape)
    path.write_bytes(header + np.ascontiguousarray(array).tobytes())


def _decompressed(path: Path) -> bytes:
    raw = path.read_bytes()
    if path.suffix != ".gz":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} can't be decompressed: {error}") from error
