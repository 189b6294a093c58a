"""Batches in a given order, read in this process or in workers, always the same ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from harness.data.dataset import Dataset, RandomlyChanged
from reference import Batch


class _Fetch(torch.utils.data.Dataset[Batch | ValueError]):
    """Hands a data set's complaint over as a value: PyTorch would wrap it in a worker's traceback."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, place: tuple[int, Tensor]) -> Batch | ValueError:
        number, indices = place
        try:
            if isinstance(self.dataset, RandomlyChanged):
                return self.dataset.draw(indices, self.seed + number)
            return self.dataset[indices]
        except ValueError as error:
            return error


def batches_per_epoch(samples: int, batch_size: int, *, drop_last: bool) -> int:
    """How many batches `batches` makes of all samples."""
    whole, rest = divmod(samples, batch_size)
    return whole if drop_last or not rest else whole + 1


def batches(
    dataset: Dataset,
    order: Tensor,
    batch_size: int,
    *,
    drop_last: bool,
    seed: int,
    skip: int = 0,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """The samples of `dataset` in `order` (n,), in batches, without the first `skip` batches.

    The order is fixed before any worker starts, random changes follow from `seed` and the batch's number, and PyTorch's
    global random state is left alone, so that the number of workers changes nothing but speed.

    Raises:
        ValueError: what the data set says of a sample that it can't read.
    """
    chunks = list(torch.split(order, batch_size))
    if drop_last and chunks and len(chunks[-1]) < batch_size:
        chunks.pop()
    with warnings.catch_warnings():
        # More workers than cores are slow, not wrong.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            _Fetch(dataset, seed),
            sampler=list(enumerate(chunks))[skip:],  # each element is the index of one batch
            batch_size=None,
            collate_fn=_as_is,
            num_workers=workers,
            pin_memory=pin_memory,
            # Without a generator of its own, the loader draws its workers' seed from the global random state.
            generator=torch.Generator(),
        )
        items = iter(loader)
    for item in items:
        if isinstance(item, ValueError):
            raise item
        yield item


def _as_is(item: Any) -> Any:
    return item
