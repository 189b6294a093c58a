"""Loaded batches to the device: copied beside the computation, and scaled where they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from harness.data.dataset import Dataset, Recycled, scale_pixels
from harness.data.loader import finished, range_to_scale_to
from reference import Batch


def delivered(loaded: Iterable[Batch], dataset: Dataset, device: torch.device) -> Iterator[Batch]:
    """The batches of a data set's loader, on `device` and in the card's range.

    On a GPU each is copied and scaled on a stream of its own: while one is worked on, the next arrives, if it comes
    from page-locked memory. The bits are those of scaling on the CPU.
    """
    value_range = range_to_scale_to(dataset)
    if device.type == "cuda":
        yield from _beside_computing(loaded, value_range, device)
        return
    memory = Recycled()
    for batch in loaded:
        yield finished(batch, value_range, memory)


def _beside_computing(
    loaded: Iterable[Batch], value_range: tuple[float, float] | None, device: torch.device
) -> Iterator[Batch]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    # A GPU divides by multiplying with the reciprocal, which rounds otherwise. So all 256 values are scaled on the CPU.
    values = None
    if value_range is not None:
        values = scale_pixels(torch.arange(256, dtype=torch.uint8), value_range).to(device)
    for batch in loaded:
        with torch.cuda.stream(stream):
            moved = batch.to(device)
            if values is not None:
                moved = Batch(values[moved.data.int()], moved.labels, moved.condition)
        using = torch.cuda.current_stream(device)
        using.wait_stream(stream)
        for tensor in (moved.data, moved.labels, moved.condition):
            if tensor is not None:
                tensor.record_stream(using)  # so that its memory isn't given to the next batch too early
        yield moved
