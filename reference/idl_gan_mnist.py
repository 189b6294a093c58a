"""`idl-gan-mnist`: the chapter's first GAN, fully connected, on MNIST.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.idl_chapter import adamw, fully_connected_discriminator, fully_connected_generator, gan_step
from reference.cards.idl_gan_mnist import CARD

LATENT, SHAPE = 128, (28, 28)


@register
@dataclass(frozen=True)
class IdlGanMnist:
    """The system of section 9.1.3. It has no options."""

    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 128) → (N, 28, 28) in [0, 1]; discriminator (N, 28, 28) → logits (N, 1)."""
        generator = fully_connected_generator(LATENT, SHAPE, sigmoid=True)
        discriminator = fully_connected_discriminator(SHAPE)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's GAN loop body."""
        return gan_step(players, batch, noise, LATENT)

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 28, 28) in [0, 1]."""
        return networks["generator"](noise.normal(n, LATENT))
