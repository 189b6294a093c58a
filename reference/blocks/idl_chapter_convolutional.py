"""What section 9.4 of document 004 defines and its exercises take up: the convolutional generator and critic.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), sections
9.4.1 (layers and generator) and 9.4.2 (discriminator).
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from reference.api.card import Shape
from reference.blocks.idl_chapter import LEAK, View

CHANNELS, SIDE = 16, 7
LATENT_IMAGE: Shape = (CHANNELS, SIDE, SIDE)
LATENT = prod(LATENT_IMAGE)
IMAGE: Shape = (1, 28, 28)


def convolution_block(inputs: int, outputs: int, kernel: int, side: int) -> nn.Sequential:
    """Convolution that keeps the side → LeakyReLU(0.2) → LayerNorm over (C, H, W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.LeakyReLU(LEAK),
        nn.LayerNorm([outputs, side, side]),
    )


def doubling_block(inputs: int, outputs: int, side: int) -> nn.Sequential:
    """Transposed 4×4 convolution that doubles the side, to `side` → LeakyReLU(0.2) → LayerNorm over (C, H, W)."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1),
        nn.LeakyReLU(LEAK),
        nn.LayerNorm([outputs, side, side]),
    )


class FourByFour(nn.AdaptiveAvgPool2d):
    """The listing's adaptive pooling to 4×4; on CUDA from slices: PyTorch's own has no deterministic backward there.

    Seven places make the overlapping windows 0 to 1, 1 to 3, 3 to 5 and 5 to 6.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        pooled: Tensor = self.sliced(inputs) if inputs.is_cuda else super().forward(inputs)
        return pooled

    @staticmethod
    def sliced(inputs: Tensor) -> Tensor:
        """(N, C, 7, 7) → (N, C, 4, 4)."""
        windows = ((0, 2), (1, 4), (3, 6), (5, 7))
        rows = torch.stack([inputs[:, :, top:end].mean(2) for top, end in windows], dim=2)
        return torch.stack([rows[..., left:end].mean(3) for left, end in windows], dim=3)


def convolutional_generator(*stem: nn.Module) -> nn.Sequential:
    """(N, 784), or what `stem` makes into that → images (N, 1, 28, 28) in [0, 1]."""
    return nn.Sequential(
        *stem,
        View(LATENT_IMAGE),
        convolution_block(CHANNELS, 32, 5, 7),
        convolution_block(32, 32, 5, 7),
        convolution_block(32, 32, 5, 7),
        doubling_block(32, 16, 14),
        convolution_block(16, 16, 5, 14),
        convolution_block(16, 16, 5, 14),
        doubling_block(16, 8, 28),
        convolution_block(8, 8, 5, 28),
        convolution_block(8, 8, 5, 28),
        nn.Conv2d(8, 1, 5, padding=2),
        nn.Sigmoid(),
    )


def convolutional_critic() -> nn.Sequential:
    """Images (N, 1, 28, 28) → one unbounded score each, (N, 1)."""
    return nn.Sequential(
        convolution_block(1, 32, 5, 28),
        convolution_block(32, 32, 5, 28),
        nn.AvgPool2d(2),
        convolution_block(32, 32, 5, 14),
        convolution_block(32, 32, 5, 14),
        nn.AvgPool2d(2),
        convolution_block(32, 32, 3, 7),
        convolution_block(32, 32, 3, 7),
        FourByFour(4),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 256),
        nn.LeakyReLU(LEAK),
        nn.Linear(256, 1),
    )
