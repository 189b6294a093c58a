"""What a training often has beside two networks: an averaged generator, spectral norm, and a learning-rate schedule.

gan-harness suites --reference-module averaged_mnist --references averaged-mnist
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler

from reference import Batch, Card, Forward, NetworkCard, Networks, Noise, Players, register

LATENT, HIDDEN, PIXELS = 64, 128, (28, 28)


@register
@dataclass(frozen=True)
class AveragedMnist:
    """Options of a spec: averaged-mnist@decay=0.99."""

    decay: float = 0.999
    card: ClassVar[Card] = Card(
        name="averaged-mnist",
        dataset="mnist",
        data_shape=PIXELS,
        data_range=(-1.0, 1.0),
        latent_shape=(LATENT,),
        batch_size=64,
        epochs=5,
        networks={
            "generator": NetworkCard(
                ((LATENT,),), PIXELS, {"0": (HIDDEN,), "1": (HIDDEN,), "2": (784,), "3": (784,), "4": PIXELS}
            ),
            # Spectral norm belongs to its layer: 0 and 1 are what the card lists, whatever makes their weights.
            "discriminator": NetworkCard(
                (PIXELS,), (1,), {"0": (784,), "1": (HIDDEN,), "2": (HIDDEN,), "3": (1,)}, 784 * HIDDEN + 2 * HIDDEN + 1
            ),
        },
    )

    def networks(self) -> dict[str, nn.Module]:
        """A role without an optimiser is state: it is saved, restored, and its bits are compared like the others'."""
        generator = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784), nn.Tanh(), nn.Unflatten(1, PIXELS)
        )
        discriminator = nn.Sequential(
            nn.Flatten(), spectral_norm(nn.Linear(784, HIDDEN)), nn.LeakyReLU(0.2), spectral_norm(nn.Linear(HIDDEN, 1))
        )
        average = copy.deepcopy(generator).requires_grad_(False)
        return {"generator": generator, "discriminator": discriminator, "average": average}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam for both players."""
        return {
            role: torch.optim.Adam(networks[role].parameters(), 4e-4, (0.5, 0.999))
            for role in ("generator", "discriminator")
        }

    def schedulers(self, optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, LRScheduler]:
        """Stepped by the engine after every `step`."""
        return {role: ExponentialLR(optimizer, 0.9999) for role, optimizer in optimizers.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One iteration with the hinge loss; then the average moves towards the generator."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        fake = generator(noise.normal(n, LATENT))
        loss_d = (1 - discriminator(batch.data)).relu().mean() + (1 + discriminator(fake.detach())).relu().mean()
        discriminator.zero_grad()
        discriminator.backward(loss_d)
        discriminator.step()
        loss_g = -discriminator(fake).mean()
        generator.zero_grad()
        generator.backward(loss_g)
        generator.step()
        with torch.no_grad():
            average: Any = players.average  # a role without an optimiser is its network itself
            for mean, value in zip(average.parameters(), generator.network.parameters(), strict=True):
                mean.lerp_(value, 1 - self.decay)
        return {"loss_discriminator": loss_d.detach(), "loss_generator": loss_g.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 28, 28) of the average."""
        return networks["average"](noise.normal(n, LATENT))
