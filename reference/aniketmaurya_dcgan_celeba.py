"""`aniketmaurya-dcgan-celeba`: a tutorial's DCGAN for CelebA with its own discriminator.

Source: document 002 (`002_2169febbbc471aa2.txt`), from its generator to its training loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.cards.aniketmaurya_dcgan_celeba import CARD, card_for

LATENT = 100


@register
@dataclass(frozen=True)
class AniketmauryaDcganCeleba:
    """The system of document 002. `width` is the channels of the generator's first layer, to which all others keep."""

    width: int = 1024
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator first, then discriminator, each initialised as in `initialise`."""
        generator = Generator(self.width).apply(initialise)
        return {"generator": generator, "discriminator": Discriminator(self.width // 32).apply(initialise)}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on half the sum of both losses, on a detached fake batch; generator on fresh noise."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        ones = batch.data.new_ones(n, 1)
        zeros = batch.data.new_zeros(n, 1)

        discriminator.zero_grad()
        fake = generator(noise.normal(n, LATENT, 1, 1))
        fake_logits = discriminator(fake.detach())
        real_logits = discriminator(batch.data)
        loss_fake = binary_cross_entropy_with_logits(fake_logits, zeros)
        loss_real = binary_cross_entropy_with_logits(real_logits, ones)
        loss_discriminator = (loss_fake + loss_real) / 2
        discriminator.backward(loss_discriminator)
        discriminator.step()

        generator.zero_grad()
        fake = generator(noise.normal(n, LATENT, 1, 1))
        loss_generator = binary_cross_entropy_with_logits(discriminator(fake), ones)
        generator.backward(loss_generator)
        generator.step()

        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_generator": loss_generator.detach(),
            "D(x)": real_logits.detach().sigmoid().mean(),
            "D(G(z))": fake_logits.detach().sigmoid().mean(),
        }

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 3, 64, 64) in [−1, 1]."""
        return networks["generator"](noise.normal(n, LATENT, 1, 1))

    def __post_init__(self) -> None:
        if not 32 <= self.width <= 4096 or self.width % 32:
            raise ValueError(f"width must be a multiple of 32 from 32 to 4096, not {self.width}")
        object.__setattr__(self, "card", card_for(self.width))


def up_block(inputs: int, outputs: int, stride: int, padding: int, activation: nn.Module) -> nn.Sequential:
    """Transposed 4×4 convolution without biases → BatchNorm → `activation`."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False), nn.BatchNorm2d(outputs), activation
    )


def down_block(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """Convolution 4×4 without padding, with biases → BatchNorm → LeakyReLU(0.2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


class Generator(nn.Module):
    """z (N, 100, 1, 1) → images (N, 3, 64, 64) in [−1, 1]; BatchNorm after every layer, the last included."""

    def __init__(self, width: int = 1024) -> None:
        super().__init__()
        self.gen = nn.Sequential(
            up_block(LATENT, width, 1, 0, nn.ReLU(True)),
            up_block(width, width // 2, 2, 1, nn.ReLU(True)),
            up_block(width // 2, width // 4, 2, 1, nn.ReLU(True)),
            up_block(width // 4, width // 8, 2, 1, nn.ReLU(True)),
            up_block(width // 8, 3, 2, 1, nn.Tanh()),
        )

    def forward(self, noise: Tensor) -> Tensor:
        images: Tensor = self.gen(noise)
        return images


class Discriminator(nn.Module):
    """Images (N, 3, 64, 64) → logits (N, 1); sides 64 → 31 → 14 → 11 → 4 → 1."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.disc = nn.Sequential(
            down_block(3, hidden),
            down_block(hidden, hidden * 2),
            down_block(hidden * 2, hidden * 4, stride=1),
            down_block(hidden * 4, hidden * 4),
            nn.Sequential(nn.Conv2d(hidden * 4, 1, 4, 2)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.disc(images)
        return logits.view(len(logits), -1)


def initialise(module: nn.Module) -> None:
    """Every convolution's weight N(0, 0.02); the rest as PyTorch draws it."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
