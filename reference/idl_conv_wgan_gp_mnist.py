"""`idl-conv-wgan-gp-mnist`: WGAN-GP with a convolutional generator and critic on MNIST, as written and corrected.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.4;
its loop is that of section 9.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.idl_chapter import adamw, check_critic_updates, wgan_gp_step
from reference.blocks.idl_chapter_convolutional import LATENT, convolutional_critic, convolutional_generator
from reference.cards.idl_conv_wgan_gp_mnist import CARD


@register
@dataclass(frozen=True)
class IdlConvWganGpMnist:
    """The system of section 9.4.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 784) → (N, 1, 28, 28) in [0, 1]; critic (N, 1, 28, 28) → scores (N, 1)."""
        return {"generator": convolutional_generator(), "critic": convolutional_critic()}

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
