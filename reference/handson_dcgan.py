"""`handson-dcgan-mnist`, `-celeba`, `-lsun`: the DCGAN of a book chapter, 64×64, on three data sets.

The document trains one program on all three and changes the channels and the data set.

Source: document 000 (`000_7074a03aae64a453.txt`), from its network definitions to its training loop; the
architecture is that of Radford, Metz and Chintala 2015 (arXiv 1511.06434).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.cards.handson_dcgan import CELEBA_CARD, LSUN_CARD, MNIST_CARD

LATENT, WIDTH = 100, 64


@dataclass(frozen=True)
class HandsonDcgan:
    """What the chapter's three DCGANs share; the number of channels is the card's."""

    card: ClassVar[Card]

    def networks(self) -> dict[str, nn.Module]:
        """Generator first, then discriminator, each initialised as in `initialise`."""
        channels = self.card.data_shape[0]
        generator = Generator(channels).apply(initialise)
        discriminator = Discriminator(channels).apply(initialise)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on real, discriminator on fake, one update; generator through it on the same fake batch."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        ones = batch.data.new_ones(n)
        zeros = batch.data.new_zeros(n)

        discriminator.zero_grad()
        real_scores = discriminator(batch.data)
        loss_real = binary_cross_entropy(real_scores, ones)
        discriminator.backward(loss_real)
        fake = generator(noise.normal(n, LATENT, 1, 1))
        fake_scores = discriminator(fake.detach())
        loss_fake = binary_cross_entropy(fake_scores, zeros)
        discriminator.backward(loss_fake)
        discriminator.step()

        generator.zero_grad()
        loss_generator = binary_cross_entropy(discriminator(fake), ones)
        generator.backward(loss_generator)
        generator.step()

        return {
            "loss_discriminator_real": loss_real.detach(),
            "loss_discriminator_fake": loss_fake.detach(),
            "loss_generator": loss_generator.detach(),
            "D(x)": real_scores.detach().mean(),
            "D(G(z))": fake_scores.detach().mean(),
        }

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, channels, 64, 64) in [−1, 1]."""
        return networks["generator"](noise.normal(n, LATENT, 1, 1))


@register
@dataclass(frozen=True)
class HandsonDcganMnist(HandsonDcgan):
    """The chapter's first system: one channel, MNIST resized to 64×64."""

    card: ClassVar[Card] = MNIST_CARD


@register
@dataclass(frozen=True)
class HandsonDcganCeleba(HandsonDcgan):
    """The chapter's second system: colour, CelebA's aligned faces."""

    card: ClassVar[Card] = CELEBA_CARD


@register
@dataclass(frozen=True)
class HandsonDcganLsun(HandsonDcgan):
    """The chapter's third system: colour, LSUN's bedrooms from LMDB."""

    card: ClassVar[Card] = LSUN_CARD


class Generator(nn.Module):
    """z (N, 100, 1, 1) → images (N, channels, 64, 64) in [−1, 1]; parameters named as in the document."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(LATENT, WIDTH * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(WIDTH * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 8, WIDTH * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 4, WIDTH * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH, channels, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.main(z)
        return images


class Discriminator(nn.Module):
    """Images (N, channels, 64, 64) → probabilities of being real (N,)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 2, WIDTH * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 4, WIDTH * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(WIDTH * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 8, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.main(images)
        return probabilities.view(-1)


def initialise(module: nn.Module) -> None:
    """Convolution weights N(0, 0.02), batch-norm weights N(1, 0.02), batch-norm biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
