"""`idl-ex5-inpainting-unet-latent-mnist`: the U-Net that fills erased digits, with a latent as a further input.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 5,
on the systems of section 9.4 and exercise 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players, given_condition
from reference.api.registry import register
from reference.blocks.idl_chapter import View, adamw, check_critic_updates
from reference.blocks.idl_chapter_convolutional import convolutional_critic
from reference.blocks.idl_chapter_unet import IMAGE, inpainting_step, unet
from reference.cards.idl_ex5_inpainting_unet_latent_mnist import CARD

LATENT = 64


@register
@dataclass(frozen=True)
class IdlEx5InpaintingUnetLatentMnist:
    """The system of exercise 5.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator erased (N, 1, 28, 28), latents (N, 64) → filled (N, 1, 28, 28); critic images → (N, 1)."""
        return {"generator": LatentUNet(), "critic": convolutional_critic()}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body, with erased pictures beside the latents."""
        erased = given_condition(batch.condition, CARD, len(batch.data))
        return inpainting_step(
            players, batch.data, erased, noise, LATENT, corrected=self.corrected, critic_updates=self.critic_updates
        )

    def sample(self, networks: Forward, n: int, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """(n, 1, 28, 28) in [0, 1], filled from `condition` (n, 1, 28, 28)."""
        return networks["generator"](given_condition(condition, CARD, n), noise.normal(n, LATENT))

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)


class LatentUNet(nn.Module):
    """Erased (N, 1, 28, 28), latents (N, 64) → filled (N, 1, 28, 28): the latent becomes a second channel."""

    def __init__(self) -> None:
        super().__init__()
        self.plane = nn.Sequential(nn.Linear(LATENT, 28 * 28), View(IMAGE))
        self.unet = unet(2)
        self.squash = nn.Sigmoid()

    def forward(self, erased: Tensor, latents: Tensor) -> Tensor:
        filled: Tensor = self.squash(self.unet(torch.cat([erased, self.plane(latents)], dim=1)))
        return filled
