"""`idl-cond-wgan-gp-mnist`: fully connected WGAN-GP on MNIST, conditioned on the digit, as written and corrected.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.5;
networks of 9.3.3 inside the wrapper of 9.5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.idl_chapter import (
    adamw,
    check_critic_updates,
    fully_connected_discriminator,
    fully_connected_generator,
)
from reference.blocks.idl_chapter_conditional import (
    ConditionalWrapper,
    conditional_sample,
    conditional_step,
    flat_combiner,
)
from reference.cards.idl_cond_wgan_gp_mnist import CARD

LATENT, IMAGE = 128, (1, 28, 28)


@register
@dataclass(frozen=True)
class IdlCondWganGpMnist:
    """The system of section 9.5.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 128), labels (N,) → (N, 1, 28, 28) in [0, 1]; critic images, labels → scores (N, 1)."""
        generator = fully_connected_generator(LATENT, IMAGE, sigmoid=True)
        critic = fully_connected_discriminator(IMAGE)
        return {
            "generator": ConditionalWrapper((LATENT,), generator, flat_combiner((LATENT,))),
            "critic": ConditionalWrapper(IMAGE, critic, flat_combiner(IMAGE)),
        }

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body, with labels."""
        return conditional_step(
            players, batch, noise, LATENT, corrected=self.corrected, critic_updates=self.critic_updates
        )

    def sample(self, networks: Forward, n: int, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """(n, 1, 28, 28) in [0, 1], of `labels` (n,) or of drawn ones."""
        return conditional_sample(networks["generator"], n, noise, labels, LATENT)

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)
