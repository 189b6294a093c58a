"""The U-Net that two exercises of document 004 ask for, and the card of it.

Source: document 004 (`004_9711d4b225dd23fb.txt`), exercises 4 and 5, which take the architecture from the book's
chapter before; after Ronneberger, Fischer and Brox 2015 (arXiv 1505.04597).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference.api.card import InitialWeights, Shape
from reference.blocks.idl_chapter import LEAK

IMAGE: Shape = (1, 28, 28)


def normalised_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution 3×3 that keeps the side → BatchNorm → LeakyReLU(0.2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(LEAK))


class UNetBlock(nn.Module):
    """(N, inputs, H, W) → (N, outputs or width, H, W): in, down, the inner block, up, concatenate, out.

    Raises:
        ValueError: a height or width that can't be halved.
    """

    def __init__(self, inputs: int, width: int, outputs: int | None = None, inner: UNetBlock | None = None) -> None:
        super().__init__()
        self.entering = nn.Sequential(normalised_convolution(inputs, width), normalised_convolution(width, width))
        self.inner: nn.Sequential | None = None
        if inner is not None:
            rising = nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
            self.inner = nn.Sequential(nn.MaxPool2d(2), inner, rising)
        leaving = [normalised_convolution(width if inner is None else 2 * width, width)]
        self.leaving = nn.Sequential(*leaving, normalised_convolution(width, width))
        self.last = None if outputs is None else nn.Conv2d(width, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.entering(images)
        if self.inner is not None:
            height, width = images.shape[-2:]
            if height % 2 or width % 2:
                raise ValueError(f"a U-Net halves its images at every level: {height}×{width} pixels can't be halved")
            features = torch.cat([features, self.inner(features)], dim=1)
        features = self.leaving(features)
        return features if self.last is None else self.last(features)


def unet(inputs: int) -> UNetBlock:
    """(N, inputs, 28, 28) → (N, 1, 28, 28), unbounded: 32, 64 and 128 channels, two convolutions a side."""
    return UNetBlock(inputs, 32, outputs=1, inner=UNetBlock(32, 64, inner=UNetBlock(64, 128)))


# (prefix, inputs, width, side, input of the first convolution after concatenating) of the three nested blocks.
_BLOCKS = (("", 0, 32, 28, 64), ("inner.1.", 32, 64, 14, 128), ("inner.1.inner.1.", 64, 128, 7, 128))


def _convolutions(prefix: str, inputs: int) -> list[tuple[str, int, int, int]]:
    """(name, inputs, outputs, side) of the convolutions 3×3 with BatchNorm."""
    rows = []
    for name, given, width, side, joined in _BLOCKS:
        rows += [(f"{prefix}{name}entering.0", given or inputs, width, side),
                 (f"{prefix}{name}entering.1", width, width, side),
                 (f"{prefix}{name}leaving.0", joined, width, side),
                 (f"{prefix}{name}leaving.1", width, width, side)]  # fmt: skip
    return rows


def unet_layers(prefix: str, inputs: int) -> dict[str, Shape]:
    """Every layer's output, as the exercise's description gives it."""
    layers: dict[str, Shape] = {
        f"{name}.{part}": (outputs, side, side) for name, _, outputs, side in _convolutions(prefix, inputs)
        for part in range(3)
    }  # fmt: skip
    layers |= {
        f"{prefix}inner.0": (32, 14, 14), f"{prefix}inner.2": (32, 28, 28), f"{prefix}inner.1.inner.0": (64, 7, 7),
        f"{prefix}inner.1.inner.2": (64, 14, 14), f"{prefix}last": IMAGE,
    }  # fmt: skip
    return layers


def unet_parameters(inputs: int) -> int:
    """Convolutions with biases, BatchNorm's two values per channel, two transposed convolutions, the last 1×1."""
    convolutions = sum((given * 9 + 1 + 2) * outputs for _, given, outputs, _ in _convolutions("", inputs))
    return convolutions + (64 * 9 * 32 + 32) + (128 * 9 * 64 + 64) + (32 + 1)


def unet_weights(role: str, prefix: str, inputs: int) -> tuple[InitialWeights, ...]:
    """PyTorch's defaults; a transposed convolution's fan-in counts its outputs."""
    rows = _convolutions(prefix, inputs)
    fans = [(f"{name}.0", given * 9) for name, given, _, _ in rows]
    fans += [(f"{prefix}inner.2", 32 * 9), (f"{prefix}inner.1.inner.2", 64 * 9), (f"{prefix}last", 32)]
    return (
        *(InitialWeights(role, f"{name}.*", "uniform", -(fan**-0.5), fan**-0.5) for name, fan in fans),
        *(InitialWeights(role, f"{name}.1.weight", "constant", 1.0) for name, *_ in rows),
        *(InitialWeights(role, f"{name}.1.bias", "constant", 0.0) for name, *_ in rows),
    )
