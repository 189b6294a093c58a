"""What section 9.4 of document 004 defines and its exercises take up: the convolutional generator and critic.

Source: document 004 (`004_9711d4b225dd23fb.txt`), sections 9.4.1 (layers and generator) and 9.4.2 (discriminator).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import torch
from torch import Tensor, nn

from reference.api.card import InitialWeights, NetworkCard, Shape
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


# (name, inputs, outputs, kernel, side) of every convolution with activation and LayerNorm, as the listings have them.
_GENERATOR_BLOCKS = (
    (1, 16, 32, 5, 7), (2, 32, 32, 5, 7), (3, 32, 32, 5, 7), (4, 32, 16, 4, 14), (5, 16, 16, 5, 14),
    (6, 16, 16, 5, 14), (7, 16, 8, 4, 28), (8, 8, 8, 5, 28), (9, 8, 8, 5, 28),
)  # fmt: skip
_CRITIC_BLOCKS = (
    (0, 1, 32, 5, 28), (1, 32, 32, 5, 28), (3, 32, 32, 5, 14), (4, 32, 32, 5, 14), (6, 32, 32, 3, 7), (7, 32, 32, 3, 7),
)  # fmt: skip


def block_layers(name: str, outputs: int, side: int) -> dict[str, Shape]:
    """The three layers of one block."""
    return {f"{name}.{part}": (outputs, side, side) for part in range(3)}


def block_parameters(inputs: int, outputs: int, kernel: int, side: int) -> int:
    """A convolution with biases, and LayerNorm's two values per place."""
    return (inputs * kernel**2 + 1) * outputs + 2 * outputs * side**2


def generator_card(
    inputs: tuple[Shape, ...] = ((LATENT,),), *, prefix: str = "", shift: int = 0, classes: int = 0
) -> NetworkCard:
    """What the listing says of `convolutional_generator` without its stem, whose `shift` modules come before."""
    layers: dict[str, Shape] = {f"{prefix}{shift}": LATENT_IMAGE}
    for index, _, outputs, _, side in _GENERATOR_BLOCKS:
        layers |= block_layers(f"{prefix}{shift + index}", outputs, side)
    layers |= {f"{prefix}{shift + 10}": IMAGE, f"{prefix}{shift + 11}": IMAGE}
    parameters = sum(block_parameters(*block[1:]) for block in _GENERATOR_BLOCKS) + 8 * 25 + 1
    return NetworkCard(inputs, IMAGE, layers, parameters, classes=classes)


def critic_card(*, prefix: str = "", classes: int = 0) -> NetworkCard:
    """What the listing says of `convolutional_critic`."""
    layers: dict[str, Shape] = {}
    for index, _, outputs, _, side in _CRITIC_BLOCKS:
        layers |= block_layers(f"{prefix}{index}", outputs, side)
    layers |= {
        f"{prefix}2": (32, 14, 14), f"{prefix}5": (32, 7, 7), f"{prefix}8": (32, 4, 4), f"{prefix}9": (512,),
        f"{prefix}10": (256,), f"{prefix}11": (256,), f"{prefix}12": (1,),
    }  # fmt: skip
    parameters = sum(block_parameters(*block[1:]) for block in _CRITIC_BLOCKS) + 513 * 256 + 257
    return NetworkCard((IMAGE,), (1,), layers, parameters, classes=classes)


def default_weights(role: str, layers: Iterable[tuple[str, int]], norms: Iterable[str]) -> tuple[InitialWeights, ...]:
    """PyTorch's defaults: weights and biases of (layer, fan-in) uniform in ±1/√fan-in; LayerNorm 1 and 0."""
    return (
        *(InitialWeights(role, f"{name}.*", "uniform", -(fan**-0.5), fan**-0.5) for name, fan in layers),
        *(InitialWeights(role, f"{name}.weight", "constant", 1.0) for name in norms),
        *(InitialWeights(role, f"{name}.bias", "constant", 0.0) for name in norms),
    )


def generator_weights(*, prefix: str = "", shift: int = 0) -> tuple[InitialWeights, ...]:
    """How the listing's generator draws its weights; a transposed convolution's fan-in counts its outputs."""
    fans = [
        (f"{prefix}{shift + index}.0", (outputs if kernel == 4 else inputs) * kernel**2)
        for index, inputs, outputs, kernel, _ in _GENERATOR_BLOCKS
    ]
    norms = [f"{prefix}{shift + block[0]}.2" for block in _GENERATOR_BLOCKS]
    return default_weights("generator", [*fans, (f"{prefix}{shift + 10}", 200)], norms)


def critic_weights(*, prefix: str = "") -> tuple[InitialWeights, ...]:
    """How the listing's discriminator draws its weights."""
    fans = [(f"{prefix}{index}.0", inputs * kernel**2) for index, inputs, _, kernel, _ in _CRITIC_BLOCKS]
    norms = [f"{prefix}{block[0]}.2" for block in _CRITIC_BLOCKS]
    return default_weights("critic", [*fans, (f"{prefix}10", 512), (f"{prefix}12", 256)], norms)
