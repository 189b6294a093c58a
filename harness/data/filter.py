"""A data set without its damaged pictures, for those who ask for it: counted and listed, never left out silently."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from harness.data.dataset import Dataset, Uint8Dataset
from harness.data.images import Framing, UnreadablePictureError
from harness.data.loader import Loader
from harness.data.order import BLOCK
from harness.records.progress import report_progress
from reference import Batch

_log = logging.getLogger(__name__)


class Pictures(Uint8Dataset, Dataset, Protocol):
    """A data set whose samples are single pictures, (3, S, S)."""

    framing: Framing

    def name(self, index: int) -> str:
        """What a picture is called where it is stored."""
        ...


class SkipDamaged(Uint8Dataset):
    """The pictures of a data set but those at `damaged`."""

    def __init__(self, whole: Pictures, damaged: Sequence[int]) -> None:
        left_out = set(damaged)
        self._whole = whole
        self._kept = torch.tensor([index for index in range(len(whole)) if index not in left_out])
        self._damaged = [whole.name(index) for index in damaged]
        self.title, self.real, self.in_memory = whole.title, whole.real, whole.in_memory
        self.complete, self.value_range = whole.complete, whole.value_range

    @property
    def fingerprint(self) -> str:
        """That of all pictures, and the names of those that are left out."""
        return fingerprint_without(self._whole.fingerprint, self._damaged)

    def __len__(self) -> int:
        return len(self._kept)

    def pixels(self, indices: Tensor) -> Batch:
        """The pictures at `indices` among those that are left, (B, 3, S, S) uint8."""
        return self._whole.pixels(self._kept[indices])


class ProbeDamaged(Uint8Dataset):
    """Gives the pixels of the pictures that can be read; `labels` is true for them and false for the others."""

    in_memory = False

    def __init__(self, whole: Pictures) -> None:
        self._whole = whole
        self.title, self.real, self.complete = whole.title, whole.real, whole.complete
        self.value_range = whole.value_range

    @property
    def fingerprint(self) -> str:
        """That of all pictures."""
        return self._whole.fingerprint

    def __len__(self) -> int:
        return len(self._whole)

    def pixels(self, indices: Tensor) -> Batch:
        """(k, 3, S, S) uint8 with k ≤ B, and (B,) of which are there."""
        try:
            return Batch(self._whole.pixels(indices).data, torch.ones(len(indices), dtype=torch.bool))
        except UnreadablePictureError:
            found = [self._one(index) for index in indices]
            shape = (0, *self._whole.framing.shape)
            there = torch.tensor([one is not None for one in found])
            return Batch(
                torch.cat([torch.empty(shape, dtype=torch.uint8), *(one for one in found if one is not None)]), there
            )

    def _one(self, index: Tensor) -> Tensor | None:
        try:
            return self._whole.pixels(index[None]).data
        except UnreadablePictureError:
            return None


def damaged_pictures(pictures: Pictures, workers: int) -> list[int]:
    """The places of all pictures that can't be read."""
    damaged: list[int] = []
    done = 0
    with Loader(ProbeDamaged(pictures), workers=workers) as loader:
        for batch in loader.stored(torch.split(torch.arange(len(pictures)), BLOCK)):
            assert batch.labels is not None
            damaged += (done + (~batch.labels).nonzero().flatten()).tolist()
            done += len(batch.labels)
            report_progress(_log, "looking for damaged pictures", done, len(pictures))
    return damaged


def fingerprint_without(whole: str, names: Sequence[str]) -> str:
    """The fingerprint of a data set without these pictures."""
    if not names:
        return whole
    listed = "\n".join(names).encode(errors="surrogateescape")
    return f"{whole}-without-{len(names)}-{hashlib.sha256(listed).hexdigest()[:16]}"
