"""`idl-ex3-encoder-wgan-gp-mnist`: fully connected WGAN-GP on MNIST with an encoder that finds an image's latent.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), exercise 3,
on the system of section 9.3.3.
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
    fully_connected_block,
    fully_connected_discriminator,
    fully_connected_generator,
    wgan_gp_step,
)
from reference.cards.idl_ex3_encoder_wgan_gp_mnist import CARD

LATENT, SHAPE = 128, (1, 28, 28)


@register
@dataclass(frozen=True)
class IdlEx3EncoderWganGpMnist:
    """The system of exercise 3.

    `corrected` takes the formula's gradient norm; `critic_updates` per generator update is 1 as written.
    """

    corrected: bool = False
    critic_updates: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 128) → (N, 1, 28, 28) in [0, 1]; critic images → (N, 1); encoder images → (N, 128)."""
        generator = fully_connected_generator(LATENT, SHAPE, sigmoid=True)
        critic = fully_connected_discriminator(SHAPE)
        return {"generator": generator, "critic": critic, "encoder": encoder()}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The chapter's AdamW."""
        return adamw(networks)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """The chapter's WGAN-GP loop body, then one update of the encoder on fresh latents."""
        values = wgan_gp_step(
            players, batch, noise, LATENT, corrected=self.corrected, critic_updates=self.critic_updates
        )

        encoder = players.encoder
        encoder.zero_grad()
        latents = noise.normal(len(batch.data), LATENT)
        found = encoder(players.generator(latents).detach())
        loss_encoder = torch.linalg.vector_norm(found - latents, dim=1).mean()
        encoder.backward(loss_encoder)
        encoder.step()
        return {**values, "loss_encoder": loss_encoder.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 1, 28, 28) in [0, 1]."""
        return networks["generator"](noise.normal(n, LATENT))

    def __post_init__(self) -> None:
        check_critic_updates(self.critic_updates)


def encoder() -> nn.Sequential:
    """Images (N, 1, 28, 28) → latents (N, 128)."""
    return nn.Sequential(
        nn.Flatten(),
        fully_connected_block(784, 512),
        fully_connected_block(512, 512),
        fully_connected_block(512, 512),
        nn.Linear(512, LATENT),
    )
