"""A GAN of one's own under the harness: a least-squares GAN (Mao et al. 2016, arXiv 1611.04076) on the 3×3 grid.

    pytest suites/ --reference-module examples.my_gan --references 'my-*'
    gan-harness train my-lsgan-grid --epochs 1 --reference-module examples.my_gan

Importing this module registers the class below; every suite then runs on it unchanged. The card states what must hold.
A check that the card has no facts for is skipped, and the skip is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference import (
    Batch,
    Card,
    Claim,
    Forward,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    Networks,
    Noise,
    OptimizerCard,
    Players,
    at_least,
    register,
)

LATENT, HIDDEN = 16, 128

CARD = Card(
    name="my-lsgan-grid",
    document="own",
    section="examples/my_gan.py",
    title="A least-squares GAN on a 3×3 grid of Gaussians",
    dataset="gaussian-grid",
    data_shape=(2,),
    data_range=(-1.5, 1.5),
    latent_shape=(LATENT,),
    batch_size=256,
    drop_last=True,
    epochs=5,
    seed=0,
    optimizer=OptimizerCard("Adam", 1e-3, (0.5, 0.999)),
    log=LogSchedule(every=100, first=100),
    source="written for this example",
    networks={
        "generator": NetworkCard(
            inputs=((LATENT,),),
            output=(2,),
            layers={"0": (HIDDEN,), "1": (HIDDEN,), "2": (HIDDEN,), "3": (HIDDEN,), "4": (2,)},
            parameters=(LATENT + 1) * HIDDEN + (HIDDEN + 1) * HIDDEN + (HIDDEN + 1) * 2,
        ),
        "discriminator": NetworkCard(
            inputs=((2,),),
            output=(1,),
            layers={"0": (HIDDEN,), "1": (HIDDEN,), "2": (HIDDEN,), "3": (HIDDEN,), "4": (1,)},
            parameters=3 * HIDDEN + (HIDDEN + 1) * HIDDEN + HIDDEN + 1,
        ),
    },
    # PyTorch draws a linear layer's weights and biases uniformly in ±1/√(inputs).
    initial_weights=tuple(
        InitialWeights(network, f"{layer}.*", "uniform", -(inputs**-0.5), inputs**-0.5)
        for network, widths in {"generator": (LATENT, HIDDEN, HIDDEN), "discriminator": (2, HIDDEN, HIDDEN)}.items()
        for layer, inputs in zip((0, 2, 4), widths, strict=True)
    ),
    claims=(
        Claim(
            identifier="modes",
            place="examples/my_gan.py",
            statement="at least three of the nine modes are learned",
            documented="3 or more of 9",
            metric="modes_with_mass",
            condition=at_least(3),
            epochs=5,
        ),
    ),
)


@register
@dataclass(frozen=True)
class MyLeastSquaresGan:
    """Fields of this dataclass are the options of a spec: my-lsgan-grid@noise_scale=2.0."""

    noise_scale: float = 1.0
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Fresh networks by role; they refuse inputs of other shapes than the card's."""

        def perceptron(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs)
            )

        return {"generator": perceptron(LATENT, 2), "discriminator": perceptron(2, 1)}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """One optimiser per role."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One iteration and nothing else: no logging, no `.item()`, no device moves."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)

        fake = generator(noise.normal(n, LATENT) * self.noise_scale)
        loss_discriminator = (discriminator(batch.data) - 1).square().mean() + discriminator(fake).square().mean()
        discriminator.zero_grad()
        discriminator.backward(loss_discriminator)
        discriminator.step()

        loss_generator = (discriminator(generator(noise.normal(n, LATENT) * self.noise_scale)) - 1).square().mean()
        generator.zero_grad()
        generator.backward(loss_generator)
        generator.step()

        return {"loss_discriminator": loss_discriminator.detach(), "loss_generator": loss_generator.detach()}

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 2) points."""
        return networks["generator"](noise.normal(n, LATENT) * self.noise_scale)
