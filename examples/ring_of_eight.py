"""Data of one's own with modes of one's own: eight Gaussians on a circle, and the shortest card that suffices.

gan-harness suites --reference-module ring_of_eight --references ring-of-eight
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from reference import Batch, Card, Forward, Modes, Networks, Noise, Players, register

RING = Modes(tuple((math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)) for k in range(8)), deviation=0.02)


@register
@dataclass(frozen=True)
class RingOfEight:
    """A plain GAN (Goodfellow et al. 2014) on the ring of Unrolled GAN (Metz et al. 2017)."""

    card: ClassVar[Card] = Card(
        name="ring-of-eight", data_shape=(2,), data_range=(-1.1, 1.1), batch_size=256, epochs=20, modes=RING
    )

    def data(self, _: Path | None) -> TensorDataset:
        """20,000 points (2,), the same whenever they are asked for: the generator has a seed of its own."""
        generator = torch.Generator().manual_seed(0)
        centres = torch.tensor(RING.centres).repeat(2500, 1)
        return TensorDataset(centres + RING.deviation * torch.randn(centres.shape, generator=generator))

    def networks(self) -> dict[str, nn.Module]:
        """Two perceptrons."""
        return {
            "generator": nn.Sequential(
                nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
            ),
            "discriminator": nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 1)),
        }

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """The discriminator learns faster."""
        rates = {"generator": 1e-3, "discriminator": 2e-3}
        return {role: torch.optim.Adam(networks[role].parameters(), lr, (0.5, 0.999)) for role, lr in rates.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One iteration with the non-saturating loss."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        softplus = nn.functional.softplus
        fake = generator(noise.normal(n, 32))
        loss_d = softplus(-discriminator(batch.data)).mean() + softplus(discriminator(fake.detach())).mean()
        discriminator.zero_grad()
        discriminator.backward(loss_d)
        discriminator.step()
        loss_g = softplus(-discriminator(fake)).mean()
        generator.zero_grad()
        generator.backward(loss_g)
        generator.step()
        return {"loss_discriminator": loss_d.detach(), "loss_generator": loss_g.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 2) points."""
        return networks["generator"](noise.normal(n, 32))
