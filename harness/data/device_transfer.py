"""Loaded batches to the device: copied beside the computation, and scaled where they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import embedding

from harness.data.dataset import BufferPool, Dataset, scale_pixels
from harness.data.loader import finished, range_to_scale_to
from reference import Batch


class DeviceTransfer:
    """Brings a data set's batches to `device` and into the card's range, epoch after epoch.

    On a GPU each is copied and scaled on a stream of its own: while one is worked on, the next arrives, if it comes
    from page-locked memory. The bits are those of scaling on the CPU. There is one such stream as long as this lives:
    PyTorch's allocator keeps what a stream has given back for that stream alone.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self._device = device
        self._range = range_to_scale_to(dataset)
        self._memory = BufferPool()
        self._stream: torch.cuda.Stream | None = None
        self._values: Tensor | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            if self._range is not None:
                # A GPU divides by multiplying with the reciprocal, which rounds otherwise: all values, from the CPU.
                self._values = scale_pixels(torch.arange(256, dtype=torch.uint8), self._range).to(device)

    def batches(self, loaded: Iterable[Batch]) -> Iterator[Batch]:
        """Those of a loader's epoch, each ready to be used."""
        if self._stream is not None:
            return self._beside_computing(loaded, self._stream)
        return (finished(batch, self._range, self._memory) for batch in loaded)

    def _beside_computing(self, loaded: Iterable[Batch], stream: torch.cuda.Stream) -> Iterator[Batch]:
        for batch in loaded:
            with torch.cuda.stream(stream):
                moved = batch.to(self._device)
                if self._values is not None:
                    moved = Batch(looked_up(self._values, moved.data), moved.labels, moved.condition)
            using = torch.cuda.current_stream(self._device)
            using.wait_stream(stream)
            for tensor in (moved.data, moved.labels, moved.condition):
                if tensor is not None:
                    tensor.record_stream(using)  # so that its memory isn't given to the next batch too early
            yield moved


def looked_up(values: Tensor, pixels: Tensor) -> Tensor:
    """`values` (256,) at `pixels` (uint8, any shape).

    An embedding takes 32-bit indices as they are: indexing would first make 64 bits of each.
    """
    return embedding(pixels.int(), values[:, None]).squeeze(-1)
