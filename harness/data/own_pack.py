"""A data set of one's own in files that are mapped into memory: what `data(root)` computes is computed once.

A folder: `data.npy` (n, *data_shape), float32 or uint8 as the items are; `labels.npy` (n,) int64 where they have some;
`pack.json`, which says whose they are.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.data.own import OwnDataset, own_data
from harness.data.packing import check_room, unwritten
from harness.files.writing import replace_folder, write_text
from harness.records.progress import report_progress
from reference import Card, Reference

_log = logging.getLogger(__name__)

_DATA, _LABELS, _FACTS = "data.npy", "labels.npy", "pack.json"
_PIECE = 1024  # items that are written together


class _Mapped:
    """The items of a pack, as a map-style data set."""

    def __init__(self, folder: Path, title: str) -> None:
        self.title = title
        self._data = np.load(folder / _DATA, mmap_mode="r", allow_pickle=False)
        labelled = (folder / _LABELS).is_file()
        self._labels = np.load(folder / _LABELS, mmap_mode="r", allow_pickle=False) if labelled else None

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Tensor | tuple[Tensor, int]:
        data = torch.from_numpy(np.array(self._data[index]))
        return data if self._labels is None else (data, int(self._labels[index]))


def write_own_pack(reference: Reference, root: Path | None, folder: Path, *, overwrite: bool = False) -> OwnDataset:
    """Read every item of a reference's own data once and keep them in `folder`, which appears when it is whole.

    Raises:
        ValueError: the folder is there and isn't to be overwritten, or is no pack; there is no room; the data can't be
            used: see `own_data`.
    """
    if folder.exists() and not (folder / _FACTS).is_file():
        raise ValueError(f"{folder} is there already, and is no pack: name another")
    if folder.exists() and not overwrite:
        raise ValueError(f"{folder} is there already; --overwrite replaces it")
    dataset = own_data(reference, root)
    first = dataset.stored(torch.arange(1))
    size, parent = first.data.nbytes * len(dataset), next(at for at in folder.absolute().parents if at.is_dir())
    check_room(parent, size)

    def fill(at: Path) -> None:
        shape, kind = (len(dataset), *first.data.shape[1:]), first.data.numpy().dtype
        data = np.lib.format.open_memmap(at / _DATA, mode="w+", dtype=kind, shape=shape)
        labels = []
        for indices in torch.split(torch.arange(len(dataset)), _PIECE):
            report_progress(_log, f"packing {dataset.title}", int(indices[0]), len(dataset))
            part = dataset.stored(indices)
            data[int(indices[0]) : int(indices[-1]) + 1] = part.data.numpy()
            labels += [] if part.labels is None else [part.labels.numpy()]
        data.flush()
        if labels:
            np.save(at / _LABELS, np.concatenate(labels), allow_pickle=False)
        facts = {"reference": reference.card.name, "title": dataset.title}
        write_text(at / _FACTS, json.dumps(facts, indent=1) + "\n")

    try:
        replace_folder(folder, fill)
    except OSError as error:
        raise unwritten(folder, error) from error
    return dataset


def packed_own_data(reference: Reference, root: Path | None, folder: Path) -> OwnDataset:
    """The data of a pack, which must be what `data(root)` returns: some items are held against it.

    Raises:
        ValueError: there is no such pack, it is another reference's, it is damaged, or the data have changed since.
    """
    name = reference.card.name
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        owner, title = str(facts["reference"]), str(facts["title"])
    except OSError as error:
        raise ValueError(
            f"{folder} is no pack of {name}'s own data: `gan-harness pack {name} FOLDER` makes one"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / _FACTS} is damaged: {error}") from error
    if owner != name:
        raise ValueError(f"{folder} holds the data of {owner}, not of {name}")
    packed, live = _opened(folder, title, reference.card), own_data(reference, root)
    if len(packed) != len(live) or packed.few() != live.few():
        raise ValueError(f"{folder} holds other items than data() of {name} returns now: remove it and pack again")
    return packed


def _opened(folder: Path, title: str, card: Card) -> OwnDataset:
    try:
        mapped = _Mapped(folder, title)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{folder} is damaged: {error}") from error
    return OwnDataset(mapped, card)
