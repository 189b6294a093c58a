"""What the engine needs of a data set, and how stored pixels become a batch."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reference import Batch

_PIECE = 2**21  # values: a batch of small pictures at once, a larger one bit by bit


class Dataset(Protocol):
    """A data set that hands out whole batches.

    `title` says what the images are, a stand-in's begins with "stand-in: "; `real` is False for a stand-in, and for
    what isn't known to be the published data; `complete` is False for a part of them. `fingerprint` changes with any
    sample; to know it may take a while, the first time. `in_memory` says that reading costs no disk access.
    """

    title: str
    real: bool
    complete: bool
    in_memory: bool

    @property
    def fingerprint(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor) -> Batch:
        """The samples at `indices` (B,), in that order."""
        ...


@runtime_checkable
class Uint8Dataset(Protocol):
    """A data set of stored pixels, which are scaled where they are needed: they are a quarter of the bytes."""

    value_range: tuple[float, float]

    def pixels(self, indices: Tensor) -> Batch:
        """As indexing gives them, but `data` is uint8 in [0, 255] and not scaled."""
        ...

    def __getitem__(self, indices: Tensor) -> Batch:
        """The samples at `indices` (B,), in that order, scaled."""
        return scaled(self.pixels(indices), self.value_range)


@runtime_checkable
class PrefetchHint(Protocol):
    """A data set that makes use of hearing what it will be asked for."""

    def expect(self, order: Tensor) -> None:
        """Samples will be asked for in this order (n,), an epoch's."""
        ...


@runtime_checkable
class Augmented(Protocol):
    """A data set whose samples are changed at random while training: jittered, mirrored, erased.

    Indexing gives every sample without chance; `draw` gives the same bits for the same indices and seed.
    """

    def draw(self, indices: Tensor, seed: int) -> Batch:
        """The samples at `indices`, changed as follows from `seed`."""


@runtime_checkable
class Divided(Protocol):
    """A data set beside which others of the same kind were held out: nothing is trained on them."""

    @property
    def held_out(self) -> Dataset | None:
        """The others, in the same shape and range; None where they aren't there."""


def held_out_from(dataset: Dataset) -> Dataset | None:
    """What was held out beside a data set; None where nothing is known to be."""
    return dataset.held_out if isinstance(dataset, Divided) else None


def linspace_indices(length: int, most: int) -> Tensor:
    """At most `most` of `length` indices, evenly spread: some sets lie sorted."""
    return torch.linspace(0, length - 1, min(most, length)).long()


def scaled(batch: Batch, value_range: tuple[float, float], memory: BufferPool | None = None) -> Batch:
    """A batch of uint8 pixels with `data` in `value_range`."""
    return Batch(scale_pixels(batch.data, value_range, memory), batch.labels, batch.condition)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, torch's global CPU state follows from `seed`, for transforms that draw from it; then as before."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        yield


class BufferPool:
    """Memory that is used again once nobody holds what was in it: fresh pages cost more than what is written to them.

    Several threads may ask for some.
    """

    def __init__(self) -> None:
        self._given: list[NDArray[Any]] = []
        self._asking = threading.Lock()

    def empty(self, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
        """An array with any values; tensors made of it, and views of it, hold it."""
        with self._asking:
            for place in range(len(self._given)):
                # Held by the list, by this call's argument, and by nobody else.
                if sys.getrefcount(self._given[place]) <= 2:
                    array = self._given.pop(place)
                    if array.shape == shape and array.dtype == kind:
                        self._given.append(array)
                        return array
                    break  # of another size: let it go
            array = np.empty(shape, kind)
            self._given.append(array)
            return array


def scale_pixels(pixels: Tensor, value_range: tuple[float, float], memory: BufferPool | None = None) -> Tensor:
    """uint8 pixels on the CPU to floats in `value_range`, with the bits of torchvision's ToTensor and Normalize.

    Normalize with mean 0.5 and deviation 0.5 computes (x − 0.5) / 0.5. Doubling is exact in binary, so 2x − 1 rounds
    at the same place and gives the same bits.
    """
    low, high = (np.float32(end) for end in value_range)
    stored = pixels.contiguous().numpy().reshape(-1)
    scaled = (memory or BufferPool()).empty(stored.shape, np.float32)
    # On one core. PyTorch would ask all cores for each operation, and wait for them: beside a busy process that takes a
    # hundred times as long.
    for start in range(0, len(stored), _PIECE):
        piece = scaled[start : start + _PIECE]
        piece[:] = stored[start : start + _PIECE]
        piece /= np.float32(255)
        if value_range != (0.0, 1.0):
            piece *= high - low
            piece += low
    return torch.from_numpy(scaled).view(pixels.shape)
