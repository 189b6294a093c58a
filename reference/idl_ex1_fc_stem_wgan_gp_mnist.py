"""`idl-ex1-fc-stem-wgan-gp-mnist`: the convolutional WGAN-GP whose generator starts fully connected.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 1,
on the system of section 9.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.idl_chapter import adamw, check_critic_updates, fully_connected_block, wgan_gp_step
from reference.blocks.idl_chapter_convolutional import convolutional_critic, convolutional_generator
from reference.cards.idl_ex1_fc_stem_wgan_gp_mnist import card_for

LATENT, STEM = 128, 16 * 7 * 7


@register
@dataclass(frozen=True)
class IdlEx1FcStemWganGpMnist:
    """The system of exercise 1.

    `stem` is the number of fully connected blocks, 1 or 2. `corrected` takes the formula's gradient norm;
    `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    stem: int = 2
    card: ClassVar[Card] = card_for(2)

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 128) → (N, 1, 28, 28) in [0, 1]; critic (N, 1, 28, 28) → scores (N, 1)."""
        stem = [fully_connected_block(inputs, STEM) for inputs in (LATENT, STEM)[: self.stem]]
        return {"generator": convolutional_generator(*stem), "critic": convolutional_critic()}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body."""
        return wgan_gp_step(players, batch, noise, LATENT, corrected=self.corrected, critic_updates=self.critic_updates)

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 1, 28, 28) in [0, 1]."""
        return networks["generator"](noise.normal(n, LATENT))

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)
        if self.stem not in (1, 2):
            raise ValueError(f"stem must be 1 or 2, as the exercise has it, not {self.stem}")
        object.__setattr__(self, "card", card_for(self.stem))
