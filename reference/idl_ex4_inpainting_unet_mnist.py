"""`idl-ex4-inpainting-unet-mnist`: a U-Net that fills the holes of erased digits, trained against a WGAN-GP critic.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 4,
on the system of section 9.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players, given_condition
from reference.api.registry import register
from reference.blocks.idl_chapter import adamw, check_critic_updates
from reference.blocks.idl_chapter_convolutional import convolutional_critic
from reference.blocks.idl_chapter_unet import inpainting_step, unet
from reference.cards.idl_ex4_inpainting_unet_mnist import CARD


@register
@dataclass(frozen=True)
class IdlEx4InpaintingUnetMnist:
    """The system of exercise 4.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator erased (N, 1, 28, 28) → filled (N, 1, 28, 28) in [0, 1]; critic images → scores (N, 1)."""
        return {"generator": nn.Sequential(unet(1), nn.Sigmoid()), "critic": convolutional_critic()}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body, with erased pictures in the latents' place."""
        erased = given_condition(batch.condition, CARD, len(batch.data))
        return inpainting_step(
            players, batch.data, erased, noise, None, corrected=self.corrected, critic_updates=self.critic_updates
        )

    def sample(self, networks: Forward, n: int, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """(n, 1, 28, 28) in [0, 1], filled from `condition` (n, 1, 28, 28)."""
        return networks["generator"](given_condition(condition, CARD, n))

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)
