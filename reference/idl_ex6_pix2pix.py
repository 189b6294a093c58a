"""`idl-ex6-pix2pix`: image-to-image translation with a U-Net and a discriminator of patches.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 6,
which asks for the paper: Isola, Zhu, Zhou and Efros 2017 (arXiv 1611.07004), sections 3 and 6.1 to 6.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players, given_condition
from reference.api.registry import register
from reference.cards.idl_ex6_pix2pix import CARD, card_for

L1_WEIGHT = 100.0


@register
@dataclass(frozen=True)
class IdlEx6Pix2pix:
    """The system of exercise 6.

    `size` is the pictures' side, `width` the first layer's channels; `swap` translates from right to left.
    """

    size: int = 256
    width: int = 64
    swap: bool = False
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator condition → image, (N, 3, S, S) in [−1, 1]; discriminator condition, image → patch logits."""
        generator = UNet(unet_widths(self.size, self.width)).apply(initialise)
        discriminator = PatchDiscriminator(self.width).apply(initialise)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on half the sum of its losses on a fake and the real pair; generator on log D and 100·L1."""
        generator, discriminator = players.generator, players.discriminator
        condition = given_condition(batch.condition, self.card, len(batch.data))
        fake = generator(condition)

        discriminator.zero_grad()
        fake_logits = discriminator(condition, fake.detach())
        real_logits = discriminator(condition, batch.data)
        loss_fake = binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        loss_real = binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        loss_discriminator = (loss_fake + loss_real) / 2
        discriminator.backward(loss_discriminator)
        discriminator.step()

        generator.zero_grad()
        judged = discriminator(condition, fake)
        loss_adversarial = binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
        loss_l1 = l1_loss(fake, batch.data)
        generator.backward(loss_adversarial + L1_WEIGHT * loss_l1)
        generator.step()

        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_adversarial": loss_adversarial.detach(),
            "loss_l1": loss_l1.detach(),
            "D(x)": real_logits.detach().sigmoid().mean(),
            "D(G(c))": fake_logits.detach().sigmoid().mean(),
        }

    def sample(self, networks: Forward, n: int, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """(n, 3, S, S) in [−1, 1] from `condition` (n, 3, S, S), one by one."""
        condition = given_condition(condition, self.card, n)
        return torch.cat([networks["generator"](one) for one in torch.split(condition, 1)])

    def __post_init__(self) -> None:
        if self.size < 32 or self.size > 1024 or self.size & (self.size - 1):
            raise ValueError(
                f"size must be a power of two from 32 to 1024, which the U-Net can halve down to 1, not {self.size}"
            )
        if not 1 <= self.width <= 1024:
            raise ValueError(f"width must be from 1 to 1024, not {self.width}")
        object.__setattr__(self, "card", card_for(self.size, self.width, swap=self.swap))


class UNet(nn.Module):
    """Condition (N, 3, S, S) → image (N, 3, S, S) in [−1, 1], S a power of two: down to 1×1 and up again.

    Layer i of the way down is joined to layer n − i of the way up. Dropout, the paper's noise, acts whenever the module
    is in training mode, in which it is also sampled.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        last = len(widths) - 1
        down: list[nn.Module] = []
        for level, width in enumerate(widths):
            layers: list[nn.Module] = [nn.Conv2d(widths[level - 1] if level else 3, width, 4, 2, 1)]
            if 0 < level < last:
                layers.append(nn.BatchNorm2d(width))
            down.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
        up: list[nn.Module] = []
        for level in range(last, 0, -1):
            joined = widths[level] if level == last else 2 * widths[level]
            layers = [nn.ConvTranspose2d(joined, widths[level - 1], 4, 2, 1), nn.BatchNorm2d(widths[level - 1])]
            if last - level < 3:
                layers.append(nn.Dropout(0.5))
            up.append(nn.Sequential(*layers, nn.ReLU()))
        up.append(nn.Sequential(nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1), nn.Tanh()))
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(up)

    def forward(self, condition: Tensor) -> Tensor:
        height, width = condition.shape[-2:]
        if height % 2 ** len(self.down) or width % 2 ** len(self.down):
            raise ValueError(f"this U-Net halves its pictures {len(self.down)} times; {height}×{width} pixels can't be")
        features = condition
        skipped: list[Tensor] = []
        for layer in self.down:
            features = layer(features)
            skipped.append(features)
        features = self.up[0](skipped.pop())
        for layer in list(self.up)[1:]:
            features = layer(torch.cat([features, skipped.pop()], dim=1))
        images: Tensor = features
        return images


def unet_widths(size: int, width: int) -> tuple[int, ...]:
    """Channels on the way down: width × 1, 2, 4, then 8 at every further halving."""
    return tuple(width * min(2**level, 8) for level in range(int(math.log2(size))))


class PatchDiscriminator(nn.Module):
    """Condition and image, (N, 3, S, S) each → one logit per overlapping 70×70 patch, (N, 1, S/8 − 2, S/8 − 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.patches = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        logits: Tensor = self.patches(torch.cat([condition, image], dim=1))
        return logits


def initialise(module: nn.Module) -> None:
    """Convolution weights N(0, 0.02), batch-norm weights N(1, 0.02), biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
