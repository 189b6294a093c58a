"""`idl-ex2-cond-conv-wgan-gp-mnist`: the convolutional WGAN-GP, conditioned on the digit by a wrapper that convolves.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 2,
on the systems of sections 9.4 and 9.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card, Shape
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.idl_chapter import LEAK, adamw, check_critic_updates
from reference.blocks.idl_chapter_conditional import ConditionalWrapper, conditional_sample, conditional_step
from reference.blocks.idl_chapter_convolutional import (
    IMAGE,
    LATENT,
    LATENT_IMAGE,
    convolution_block,
    convolutional_critic,
    convolutional_generator,
)
from reference.cards.idl_ex2_cond_conv_wgan_gp_mnist import CARD


@register
@dataclass(frozen=True)
class IdlEx2CondConvWganGpMnist:
    """The system of exercise 2.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 784), labels (N,) → (N, 1, 28, 28) in [0, 1]; critic images, labels → scores (N, 1)."""
        generator = ConditionalWrapper(LATENT_IMAGE, convolutional_generator(), convolutional_combiner(LATENT_IMAGE))
        critic = ConditionalWrapper(IMAGE, convolutional_critic(), convolutional_combiner(IMAGE))
        return {"generator": generator, "critic": critic}

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


def convolutional_combiner(shape: Shape) -> nn.Sequential:
    """Input and embedding, (N, 2·C, H, W), through two 5×5 convolutions to (N, C, H, W)."""
    channels, side, _ = shape
    return nn.Sequential(
        convolution_block(2 * channels, channels, 5, side),
        nn.Conv2d(channels, channels, 5, padding=2),
        nn.LeakyReLU(LEAK),
        nn.LayerNorm([channels, side, side]),
    )
