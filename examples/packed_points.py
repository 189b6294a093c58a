"""A discriminator that sees several samples at once (PacGAN, Lin et al. 2018), against document 004's mode collapse.

gan-harness suites test_modes.py --reference-module packed_points --references 'packed-*,packed-grid@pac=4'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference import Batch, Card, Forward, Networks, Noise, Players, register

LATENT, WIDTH, PIECES = 2, 400, 5


class Maxout(nn.Linear):
    """The largest of five linear functions, for each of 200 outputs."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 200 * PIECES)

    def forward(self, rows: Tensor) -> Tensor:
        """(N, inputs) → (N, 200)."""
        return super().forward(rows).view(len(rows), -1, PIECES).amax(2)


@dataclass(frozen=True)
class Packed:
    """PacGAN's networks and optimisers for points. `pac` samples are judged together: 1 is the plain GAN."""

    pac: int = 1

    def __post_init__(self) -> None:
        if self.pac not in (1, 2, 4):
            raise ValueError(f"pac is 1, 2 or 4, so that whole batches can be packed, not {self.pac}")

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 2) → points (N, 2); discriminator (N, 2·pac) → logits (N, 1)."""
        layers: list[nn.Module] = []
        for inputs in (LATENT, WIDTH, WIDTH, WIDTH):
            layers += [nn.Linear(inputs, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU()]
        generator = nn.Sequential(*layers, nn.Linear(WIDTH, 2))
        discriminator = nn.Sequential(Maxout(2 * self.pac), Maxout(200), Maxout(200), nn.Linear(200, 1))
        for layer in (*generator.modules(), *discriminator.modules()):
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam, for both alike."""
        return {role: torch.optim.Adam(network.parameters(), 1e-4, (0.8, 0.999)) for role, network in networks.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One iteration with the non-saturating loss; the samples of a batch are packed as they come."""
        generator, discriminator = players.generator, players.discriminator
        softplus = nn.functional.softplus
        fake = self.packed(generator(noise.normal(len(batch.data), LATENT)))
        real = self.packed(batch.data)
        loss_d = softplus(-discriminator(real)).mean() + softplus(discriminator(fake.detach())).mean()
        discriminator.zero_grad()
        discriminator.backward(loss_d)
        discriminator.step()
        loss_g = softplus(-discriminator(fake)).mean()
        generator.zero_grad()
        generator.backward(loss_g)
        generator.step()
        return {"loss_discriminator": loss_d.detach(), "loss_generator": loss_g.detach()}

    def packed(self, points: Tensor) -> Tensor:
        """(N, 2) → (N / pac, 2·pac): points that lie side by side in a batch have nothing to do with each other."""
        return points.reshape(-1, 2 * self.pac)

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 2); batch normalisation uses the statistics of all that are drawn at once."""
        return networks["generator"](noise.normal(n, LATENT))


def card(name: str, dataset: str, reach: float, epochs: int) -> Card:
    """What a run needs to know."""
    return Card(
        name=name,
        title="A GAN with a packing discriminator, on points",
        dataset=dataset,
        data_shape=(2,),
        data_range=(-reach, reach),
        latent_shape=(LATENT,),
        batch_size=128,
        drop_last=True,
        epochs=epochs,
        variants={"pac=2": "two samples at once", "pac=4": "four samples at once"},
    )


@register
@dataclass(frozen=True)
class PackedGrid(Packed):
    """On the nine Gaussians of document 004, where its plain GAN keeps one or two."""

    card: ClassVar[Card] = card("packed-grid", "gaussian-grid", 1.5, 20)


@register
@dataclass(frozen=True)
class PackedGrid25(Packed):
    """On the 25 Gaussians of VEEGAN and PacGAN."""

    card: ClassVar[Card] = card("packed-grid-25", "grid-25", 5.0, 50)


@register
@dataclass(frozen=True)
class PackedRing8(Packed):
    """On the eight Gaussians of VEEGAN and PacGAN."""

    card: ClassVar[Card] = card("packed-ring-8", "ring-8", 1.2, 50)
