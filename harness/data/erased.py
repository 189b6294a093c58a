"""Pictures with a rectangle erased, as torchvision's RandomErasing draws it, beside the whole ones."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.data.dataset import Dataset, held_out_from, seeded
from reference import Batch

SCALE, RATIO = (0.02, 0.33), (0.3, 3.3)  # torchvision's defaults


class Erased:
    """A data set of images (B, C, H, W) whose `condition` is each image with one rectangle set to 0.

    Indexing erases the same place of a picture every time; `draw` erases a new one.
    """

    def __init__(self, whole: Dataset) -> None:
        from torchvision.transforms import RandomErasing  # brings TorchDynamo: two seconds

        self.whole, self._place = whole, RandomErasing.get_params
        self.title, self.real, self.in_memory = whole.title, whole.real, whole.in_memory
        self.complete = whole.complete

    @property
    def fingerprint(self) -> str:
        """That of the whole pictures."""
        return f"erased-{self.whole.fingerprint}"

    @property
    def held_out(self) -> Dataset | None:
        """What was held out beside the whole pictures, whole: a generator draws whole ones."""
        return held_out_from(self.whole)

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, indices: Tensor) -> Batch:
        return self._with_holes(self.whole[indices], self.holes(indices))

    def draw(self, indices: Tensor, seed: int) -> Batch:
        """The samples at `indices` with holes that follow from `seed`."""
        batch = self.whole[indices]
        with seeded(seed):
            return self._with_holes(batch, self._holes(batch.data))

    def holes(self, indices: Tensor) -> Tensor:
        """(B, 1, H, W), true where indexing erases."""
        drawn = []
        for index in indices.tolist():
            with seeded(index):
                drawn.append(self._holes(self.whole[torch.tensor([index])].data))
        return torch.cat(drawn)

    def _with_holes(self, batch: Batch, holes: Tensor) -> Batch:
        return Batch(batch.data, batch.labels, batch.data.masked_fill(holes, 0.0))

    def _holes(self, images: Tensor) -> Tensor:
        """One rectangle per image from torch's global random state."""
        holes = torch.zeros(len(images), 1, *images.shape[2:], dtype=torch.bool)
        for image, hole in zip(images, holes, strict=True):
            top, left, height, width, _ = self._place(image, SCALE, RATIO, value=[0.0])
            hole[:, top : top + height, left : left + width] = True
        return holes
