"""Stacked MNIST: three digits, one in each channel, a thousand modes (Metz et al. 2017, Srivastava et al. 2017)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from harness.data.dataset import Uint8Dataset
from harness.data.mnist import Mnist
from reference import Batch

STACKED = "stacked-mnist"
SHAPE = (3, 28, 28)
PICTURES, COUNTED = 128_000, 26_000  # to train on, and samples in which modes are counted: PacGAN's
MODES = 1000


class StackedMnist(Uint8Dataset):
    """128,000 pictures of three digits that are drawn from MNIST, always the same; labels are 0 to 999.

    Raises:
        ValueError: another shape is asked for, or as `Mnist`.
    """

    in_memory = True

    def __init__(self, root: Path, shape: tuple[int, ...], value_range: tuple[float, float]) -> None:
        if shape != SHAPE:
            raise ValueError(f"stacked MNIST holds pictures of shape {SHAPE}, not {shape}")
        self.digits = Mnist(root, SHAPE[1:], value_range)
        self.title = f"stacked {self.digits.title}"
        self.real, self.complete = self.digits.real, self.digits.complete
        self.value_range = value_range
        self.fingerprint = f"stacked-{PICTURES}-{self.digits.fingerprint}"
        self._triples = torch.randint(len(self.digits), (PICTURES, 3), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return PICTURES

    @property
    def shares(self) -> Tensor:
        """(1000,) how often each mode is drawn: the product of the shares that three digits have in MNIST."""
        each = torch.bincount(self.digits.labels, minlength=10).double() / len(self.digits)
        return torch.einsum("a,b,c->abc", each, each, each).flatten()

    def pixels(self, indices: Tensor) -> Batch:
        """The samples at `indices`, uint8."""
        batch = self.digits.pixels(self._triples[indices].flatten())
        assert batch.labels is not None
        return Batch(batch.data.view(-1, *SHAPE), mode_number(batch.labels.view(-1, 3)))


def mode_number(digits: Tensor) -> Tensor:
    """The mode, 0 to 999, of three digits (n, 3) each."""
    return (digits * torch.tensor([100, 10, 1])).sum(1)
