"""A data set of one's own: whatever map-style PyTorch data set a reference's `data(root)` returns."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from harness.data.dataset import linspace_indices, scale_pixels, seeded
from harness.records.progress import report_progress
from reference import Batch, Card, Reference

_log = logging.getLogger(__name__)

_KEPT = 256 * 2**20  # bytes up to which all items are kept
_PIECE = 1024  # items that are read together
_READ_TWICE = 8  # items that must be the same when they are read again
_SLACK = 1e-3  # of the range, beyond which a picture's values may not lie
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's, by channels


class OwnDataset:
    """The items of a map-style data set, in batches.

    An item is its data, or (data, label): a float32 tensor or array in the card's range; uint8 values or a Pillow
    picture, which are scaled from 0 … 255 to that range. Labels are whole numbers. An item is the same whenever it is
    read: who draws in `__getitem__` draws from a generator that follows from the index.

    Raises:
        ValueError: no items, no length, or none of these; once `fingerprint` or items are asked for, also items of
            another shape or kind than the card's, or that change.
    """

    real = complete = True

    def __init__(self, data: Any, card: Card) -> None:
        self._owner = card.name
        self._card = card
        if isinstance(data, IterableDataset) or not all(hasattr(data, name) for name in ("__len__", "__getitem__")):
            raise ValueError(
                f"data() of {self._owner} returns a {type(data).__name__}: it takes a map-style data set, with __len__ "
                "and __getitem__, whose items have a fixed order"
            )
        self._data = data
        self._length = int(self._guarded(f"the length of the data of {self._owner}", lambda: len(data)))
        if not self._length:
            raise ValueError(f"data() of {self._owner} returns a data set of length 0")
        self.title = str(getattr(data, "title", "") or f"{type(data).__name__} of {self._owner}")
        first, label = self._item(0)
        self._kind, self._labelled = first.dtype, label is not None
        self.in_memory = first.nbytes * len(self) <= _KEPT
        self._kept: Batch | None = None

    @property
    def held_out(self) -> OwnDataset | None:
        """What the data set calls `held_out`, which is such a data set itself; None where it says nothing."""
        others = getattr(self._data, "held_out", None)
        return None if others is None else OwnDataset(others, self._card)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, indices: Tensor) -> Batch:
        """The samples at `indices` (B,), in that order: data (B, *data_shape) float32, labels (B,) int64 or None."""
        stored = self.stored(indices) if self._kept is None else _at(self._kept, indices)
        if stored.data.dtype == torch.float32:
            return stored
        return Batch(scale_pixels(stored.data, self._card.data_range), stored.labels)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any value, label, or their order: every item is read for them once.

        What is small is kept then, so that no item is read again.
        """
        digest = hashlib.sha256(repr((self._card.data_shape, self._kind)).encode())
        again = set(linspace_indices(len(self), _READ_TWICE).tolist())
        parts = []
        for indices in torch.split(torch.arange(len(self)), _PIECE):
            report_progress(_log, f"reading {self.title} once to know it", int(indices[0]), len(self))
            part = self.stored(indices)
            digest.update(part.data.numpy().tobytes())
            for index in again & set(indices.tolist()):
                if not torch.equal(self._item(index)[0], part.data[index - int(indices[0])]):
                    raise ValueError(
                        f"item {index} of the data of {self._owner} isn't the same when it is read again: what draws "
                        "at random (a transform, noise) must follow from the index, or no seed gives the same training "
                        "twice"
                    )
            parts.append(part if self.in_memory else Batch(torch.empty(0), part.labels))
        labels = torch.cat([part.labels for part in parts if part.labels is not None]) if self._labelled else None
        digest.update(b"" if labels is None else labels.numpy().tobytes())
        if self.in_memory:
            self._kept = Batch(torch.cat([part.data for part in parts]), labels)
        return digest.hexdigest()[:16]

    def few(self) -> list[tuple[bytes, int | None]]:
        """Some items, evenly spread: their bytes and labels."""
        items = [self._item(index) for index in linspace_indices(len(self), _READ_TWICE).tolist()]
        return [(data.numpy().tobytes(), label) for data, label in items]

    def stored(self, indices: Tensor) -> Batch:
        """The items at `indices` (B,) as `data(root)` gives them, not scaled: (B, *data_shape), float32 or uint8."""
        items = [self._item(index) for index in indices.tolist()]
        labels = torch.tensor([label for _, label in items], dtype=torch.int64) if self._labelled else None
        return Batch(torch.stack([data for data, _ in items]), labels)

    def _item(self, index: int) -> tuple[Tensor, int | None]:
        """One item, checked: its data as they are stored, and its label."""
        where = f"item {index} of the data of {self._owner}"
        item = self._guarded(where, lambda: self._data[index])
        parts = tuple(item) if isinstance(item, (tuple, list)) else (item,)
        if not 1 <= len(parts) <= 2:
            raise ValueError(f"{where} has {len(parts)} parts: it takes the data, or (data, label)")
        data = self._tensor(parts[0], where)
        label = None if len(parts) == 1 else _label(parts[1], where)
        if index and data.dtype != self._kind:
            raise ValueError(f"{where} holds {data.dtype}, item 0 {self._kind}: all items must be of one kind")
        if index and (label is not None) != self._labelled:
            raise ValueError(f"{where} has {'a' if label is not None else 'no'} label, unlike item 0")
        if label is not None and self._card.classes and not 0 <= label < self._card.classes:
            most = self._card.classes - 1
            raise ValueError(f"{where} has the label {label}; the card of {self._owner} knows 0 to {most}")
        return data, label

    def _tensor(self, value: Any, where: str) -> Tensor:
        shape = self._card.data_shape
        if isinstance(value, Image.Image):
            value = _pixels(value, shape, where)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        if not isinstance(value, Tensor):
            raise ValueError(f"{where} holds a {type(value).__name__}: it takes a tensor, an array or a Pillow picture")
        if tuple(value.shape) != shape:
            raise ValueError(f"{where} has shape {tuple(value.shape)}; data_shape of {self._owner} says {shape}")
        if value.dtype not in (torch.float32, torch.uint8):
            raise ValueError(f"{where} holds {value.dtype}: it takes float32 in the card's range, or uint8")
        if value.dtype == torch.float32:
            self._check_values(value, where)
        return value.detach().cpu().contiguous()

    def _check_values(self, value: Tensor, where: str) -> None:
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{where} holds values that aren't finite")
        (low, high), points = self._card.data_range, len(self._card.data_shape) < 2  # points may lie anywhere
        slack = _SLACK * (high - low)
        if not points and (float(value.min()) < low - slack or float(value.max()) > high + slack):
            raise ValueError(
                f"{where} has values from {float(value.min()):.3g} to {float(value.max()):.3g}; data_range of "
                f"{self._owner} is {low:g} to {high:g}"
            )

    def _guarded(self, where: str, ask: Callable[[], Any]) -> Any:
        """What a stranger's code answers, or its exception in one line."""
        try:
            return ask()
        except Exception as error:
            said = " ".join(str(error).split())
            raise ValueError(f"{where} can't be had: {type(error).__name__}: {said}") from error


def own_data(reference: Reference, root: Path | None) -> OwnDataset:
    """What a reference's own `data(root)` returns.

    It is asked twice, so that one whose order or values are drawn anew each time is found out before a training.

    Raises:
        ValueError: it fails, returns what can't be used, or other items each time.
    """
    name = reference.card.name
    opened, again = (OwnDataset(_made(reference, root, seed), reference.card) for seed in (0, 1))
    if len(again) != len(opened) or again.few() != opened.few():
        raise ValueError(
            f"data() of {name} gives other items when it is called again: fix their order (sorted names, no set), and "
            "draw from a generator with a seed of its own"
        )
    return opened


def _made(reference: Reference, root: Path | None, seed: int) -> Any:
    """With another global random state each time: what is drawn from that has no seed of its own."""
    with seeded(seed):
        try:
            return reference.data(root)  # type: ignore[attr-defined]
        except Exception as error:
            said = " ".join(str(error).split())
            raise ValueError(f"data() of {reference.card.name} fails: {type(error).__name__}: {said}") from error


def _at(kept: Batch, indices: Tensor) -> Batch:
    return Batch(kept.data[indices], None if kept.labels is None else kept.labels[indices])


def _pixels(picture: Image.Image, shape: Sequence[int], where: str) -> Tensor:
    channels = shape[0] if len(shape) == 3 else 1
    height, width = shape[-2:] if len(shape) > 1 else (0, 0)
    if channels not in _MODES or picture.size != (width, height):
        size = "×".join(map(str, shape))
        raise ValueError(f"{where} is a picture of {picture.width}×{picture.height}; data_shape says {size}")
    values = np.array(picture.convert(_MODES[channels]))
    return torch.from_numpy(values.reshape(height, width, channels)).permute(2, 0, 1).reshape(tuple(shape))


def _label(value: Any, where: str) -> int:
    if isinstance(value, (Tensor, np.ndarray, np.generic)) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{where} has the label {value!r}: it takes a whole number")
    return value
