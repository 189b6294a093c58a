"""`mlp-gan-mnist`: a fully connected GAN on MNIST.

Source: document 001 (`001_244ddff150a5a419.txt`), the section whose title is "GAN 对抗生成网络实例". The loss is the
non-saturating one of Goodfellow et al. 2014 (arXiv 1406.2661, end of section 3).
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
from reference.cards.mlp_gan_mnist import CARD

LATENT, HIDDEN, PIXELS = 64, 256, 784


@register
@dataclass(frozen=True)
class MlpGanMnist:
    """The system of document 001. It has no options."""

    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 64) → (N, 784) in [−1, 1]; discriminator (N, 784) → (N, 1) in [0, 1]."""
        discriminator = nn.Sequential(
            nn.Linear(PIXELS, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, 1),
            nn.Sigmoid(),
        )
        generator = nn.Sequential(
            nn.Linear(LATENT, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, PIXELS),
            nn.Tanh(),
        )
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam with PyTorch's default betas for both."""
        return {role: torch.optim.Adam(network.parameters(), lr=3e-4) for role, network in networks.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One discriminator update on a real and a fake batch, one generator update on fresh noise."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        ones = batch.data.new_ones(n, 1)
        zeros = batch.data.new_zeros(n, 1)

        real_scores = discriminator(batch.data)
        fake_scores = discriminator(generator(noise.normal(n, LATENT)))
        d_loss = binary_cross_entropy(real_scores, ones) + binary_cross_entropy(fake_scores, zeros)
        discriminator.zero_grad()
        discriminator.backward(d_loss)
        discriminator.step()

        g_loss = binary_cross_entropy(discriminator(generator(noise.normal(n, LATENT))), ones)
        generator.zero_grad()
        generator.backward(g_loss)
        generator.step()

        return {
            "loss_discriminator": d_loss.detach(),
            "loss_generator": g_loss.detach(),
            "D(x)": real_scores.detach().mean(),
            "D(G(z))": fake_scores.detach().mean(),
        }

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 784) in [−1, 1]."""
        return networks["generator"](noise.normal(n, LATENT))
