"""`aniketmaurya-dcgan-celeba`: a tutorial's DCGAN for CelebA with its own discriminator.

Source: document 002 (`002_2169febbbc471aa2.txt`), from its generator to its training loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    exactly,
)
from reference.api.protocols import Batch, Networks, Noise, Players, guard
from reference.api.registry import register

LATENT, HIDDEN = 100, 32


def up_block(inputs: int, outputs: int, stride: int, padding: int, activation: nn.Module) -> nn.Sequential:
    """Transposed 4×4 convolution without biases → BatchNorm → `activation`."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False), nn.BatchNorm2d(outputs), activation
    )


def down_block(inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
    """Convolution 4×4 without padding, with biases → BatchNorm → LeakyReLU(0.2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, stride), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


class Generator(nn.Module):
    """z (N, 100, 1, 1) → images (N, 3, 64, 64) in [−1, 1]; BatchNorm after every layer, the last included."""

    def __init__(self) -> None:
        super().__init__()
        self.gen = nn.Sequential(
            up_block(LATENT, 1024, 1, 0, nn.ReLU(True)),
            up_block(1024, 512, 2, 1, nn.ReLU(True)),
            up_block(512, 256, 2, 1, nn.ReLU(True)),
            up_block(256, 128, 2, 1, nn.ReLU(True)),
            up_block(128, 3, 2, 1, nn.Tanh()),
        )

    def forward(self, noise: Tensor) -> Tensor:
        images: Tensor = self.gen(noise)
        return images


class Discriminator(nn.Module):
    """Images (N, 3, 64, 64) → logits (N, 1); sides 64 → 31 → 14 → 11 → 4 → 1."""

    def __init__(self) -> None:
        super().__init__()
        self.disc = nn.Sequential(
            down_block(3, HIDDEN),
            down_block(HIDDEN, HIDDEN * 2),
            down_block(HIDDEN * 2, HIDDEN * 4, stride=1),
            down_block(HIDDEN * 4, HIDDEN * 4),
            nn.Sequential(nn.Conv2d(HIDDEN * 4, 1, 4, 2)),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.disc(images)
        return logits.view(len(logits), -1)


def initialise(module: nn.Module) -> None:
    """Every convolution's weight N(0, 0.02); the rest as PyTorch draws it."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)


_GENERATOR_WIDTHS = ((1024, 4), (512, 8), (256, 16), (128, 32), (3, 64))
_DISCRIMINATOR_WIDTHS = ((32, 31), (64, 14), (128, 11), (128, 4))


def _stack(name: str, widths: tuple[tuple[int, int], ...]) -> dict[str, Shape]:
    return {f"{name}.{i}.{part}": (c, side, side) for i, (c, side) in enumerate(widths) for part in range(3)}


CARD = Card(
    name="aniketmaurya-dcgan-celeba",
    document="002",
    section="发电机 to 发电机损耗",
    title="A tutorial's DCGAN on CelebA",
    dataset="celeba",
    data_shape=(3, 64, 64),
    data_range=(-1.0, 1.0),
    latent_shape=(LATENT, 1, 1),
    batch_size=128,
    drop_last=False,
    epochs=50,
    seed=0,
    optimizer=OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
    hyperparameters={"latent": 100, "hidden": 32, "leak": 0.2, "initial deviation": 0.02},
    log=LogSchedule(every=500, first=501, printed_from=0, averaged=True),
    sample_every=500,
    source="written from document 002; architecture after arXiv 1511.06434",
    networks={
        "generator": NetworkCard(
            inputs=((LATENT, 1, 1),),
            output=(3, 64, 64),
            layers=_stack("gen", _GENERATOR_WIDTHS),
            parameters=16 * (100 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
            + 2 * (1024 + 512 + 256 + 128 + 3),
        ),
        "discriminator": NetworkCard(
            inputs=((3, 64, 64),),
            output=(1,),
            layers=_stack("disc", _DISCRIMINATOR_WIDTHS) | {"disc.4.0": (1, 1, 1)},
            parameters=(3 * 16 + 1) * 32 + (32 * 16 + 1) * 64 + (64 * 16 + 1) * 128 + (128 * 16 + 1) * 128
            + 128 * 16 + 1 + 2 * (32 + 64 + 128 + 128),
        ),
    },
    initial_weights=(
        *(InitialWeights("generator", f"gen.{i}.0.weight", "normal", 0.0, 0.02) for i in range(5)),
        *(InitialWeights("discriminator", f"disc.{i}.0.weight", "normal", 0.0, 0.02) for i in range(5)),
        # Biases of the convolutions: PyTorch's default, uniform in ±1/√fan-in.
        *(InitialWeights("discriminator", f"disc.{i}.0.bias", "uniform", -(fan**-0.5), fan**-0.5)
          for i, fan in enumerate((3 * 16, 32 * 16, 64 * 16, 128 * 16, 128 * 16))),
        *(InitialWeights(role, f"{name}.{i}.1.{part}", "constant", value)
          for role, name, count in (("generator", "gen", 5), ("discriminator", "disc", 4)) for i in range(count)
          for part, value in (("weight", 1.0), ("bias", 0.0))),
    ),
    claims=(
        Claim("size", "002, generator", "noise of 100 values becomes a picture of 3×64×64 by way of 1024 channels",
              "3×64×64", "layer_mismatches_generator", exactly(0)),
    ),
    deviations=(
        Deviation(1, "repair", "Names that the print uses before or without defining them (the epoch count, the "
                  "batch's size, the two logits, the averaged loss) are spelt as they are meant; both means are of the "
                  "losses that are stepped on."),
        Deviation(2, "repair", "The discriminator's backward keeps its graph for no use; here it doesn't. Same bits."),
        Deviation(3, "text against code", "The print states no betas for Adam: those of the paper that it quotes, 0.5 "
                  "and 0.999. Nor does it initialise; the text quotes N(0, 0.02) for all weights, which is done "
                  "for the convolutions: BatchNorm keeps its 1 and 0, the biases PyTorch's default."),
        Deviation(4, "text against code", "Noise of four dimensions is accepted by the print's check; here, as its "
                  "message says, only noise of the shape (N, 100, 1, 1)."),
        Deviation(5, "text against code", "The quoted guidelines leave BatchNorm off the generator's last layer; the "
                  "code has it there, and the code counts."),
        Deviation(6, "harness", "The print fixes no seed and names no data loader's settings; the default seed is 0 "
                  "and the last, smaller batch is used. Grids come from fixed latents instead of the last batch. The "
                  "log's means are taken over the steps since the line before; the print counts steps over all epochs, "
                  "and divides the sum of the first 501 by 500."),
    ),
)  # fmt: skip


@register
@dataclass(frozen=True)
class AniketmauryaDcganCeleba:
    """The system of document 002. It has no options."""

    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator first, then discriminator, each initialised as in `initialise`."""
        networks = {"generator": Generator().apply(initialise), "discriminator": Discriminator().apply(initialise)}
        return guard(networks, CARD)

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on half the sum of both losses, on a detached fake batch; generator on fresh noise."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        ones = batch.data.new_ones(n, 1)
        zeros = batch.data.new_zeros(n, 1)

        discriminator.zero_grad()
        fake = generator(noise.normal(n, LATENT, 1, 1))
        fake_logits = discriminator(fake.detach())
        real_logits = discriminator(batch.data)
        loss_fake = binary_cross_entropy_with_logits(fake_logits, zeros)
        loss_real = binary_cross_entropy_with_logits(real_logits, ones)
        loss_discriminator = (loss_fake + loss_real) / 2
        discriminator.backward(loss_discriminator)
        discriminator.step()

        generator.zero_grad()
        fake = generator(noise.normal(n, LATENT, 1, 1))
        loss_generator = binary_cross_entropy_with_logits(discriminator(fake), ones)
        generator.backward(loss_generator)
        generator.step()

        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_generator": loss_generator.detach(),
            "D(x)": real_logits.detach().sigmoid().mean(),
            "D(G(z))": fake_logits.detach().sigmoid().mean(),
        }

    def sample(
        self,
        networks: Networks,
        n: int,
        noise: Noise,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """(n, 3, 64, 64) in [−1, 1]; labels and condition play no part."""
        samples: Tensor = networks["generator"](noise.normal(n, LATENT, 1, 1))
        return samples
