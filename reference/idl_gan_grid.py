"""`idl-gan-grid`: the same plain GAN on nine Gaussians, the chapter's picture of mode collapse.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.2.
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
from reference.cards.idl_gan_grid import CARD

LATENT, SHAPE = 64, (2,)


@register
@dataclass(frozen=True)
class IdlGanGrid:
    """The system of section 9.2. It has no options."""

    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 64) → points (N, 2), unbounded; discriminator (N, 2) → logits (N, 1)."""
        generator = fully_connected_generator(LATENT, SHAPE, sigmoid=False)
        discriminator = fully_connected_discriminator(SHAPE)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's GAN loop body."""
        return gan_step(players, batch, noise, LATENT)

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 2), unbounded."""
        return networks["generator"](noise.normal(n, LATENT))
