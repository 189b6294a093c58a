"""`pytorch-dcgan-celeba`: the PyTorch project's DCGAN tutorial, in the translation of document 003.

Source: document 003 (`003_202545028479b0cc.txt`), its sections from "Inputs" to "Results".
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
from reference.cards.pytorch_dcgan_celeba import CARD

CHANNELS, LATENT, WIDTH = 3, 100, 64


@register
@dataclass(frozen=True)
class PytorchDcganCeleba:
    """The tutorial's system; `ngpu` is its number of GPUs (data parallel when above 1)."""

    ngpu: int = 1
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator first, then discriminator, each initialised as in `initialise`."""
        generator = Generator(self.ngpu).apply(initialise)
        discriminator = Discriminator(self.ngpu).apply(initialise)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on real, discriminator on fake, one update; generator through it on the same fake batch."""
        generator, discriminator = players.generator, players.discriminator
        n = len(batch.data)
        ones = batch.data.new_ones(n)
        zeros = batch.data.new_zeros(n)

        discriminator.zero_grad()
        real_scores = discriminator(batch.data).view(-1)
        loss_real = binary_cross_entropy(real_scores, ones)
        discriminator.backward(loss_real)
        fake = generator(noise.normal(n, LATENT, 1, 1))
        before = discriminator(fake.detach()).view(-1)
        loss_fake = binary_cross_entropy(before, zeros)
        discriminator.backward(loss_fake)
        discriminator.step()

        generator.zero_grad()
        after = discriminator(fake).view(-1)
        loss_generator = binary_cross_entropy(after, ones)
        generator.backward(loss_generator)
        generator.step()

        return {
            "loss_discriminator": (loss_real + loss_fake).detach(),
            "loss_generator": loss_generator.detach(),
            "D(x)": real_scores.detach().mean(),
            "D(G(z))": before.detach().mean(),
            "D(G(z)) after": after.detach().mean(),
        }

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 3, 64, 64) in [−1, 1]."""
        return networks["generator"](noise.normal(n, LATENT, 1, 1))

    def __post_init__(self) -> None:
        if self.ngpu < 0:
            raise ValueError(f"ngpu must be 0 or more, not {self.ngpu}")


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's own, printed as in the document: later versions of PyTorch add a `bias=True` to the text."""

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class Generator(nn.Module):
    """z (N, 100, 1, 1) → images (N, 3, 64, 64) in [−1, 1].

    With `ngpu` above 1 and input on a GPU, the batch is split over `ngpu` cards, of which that one is the first.
    """

    def __init__(self, ngpu: int = 1) -> None:
        super().__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            nn.ConvTranspose2d(LATENT, WIDTH * 8, 4, 1, 0, bias=False),
            BatchNorm2d(WIDTH * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 8, WIDTH * 4, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 4, WIDTH * 2, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH),
            nn.ReLU(True),
            nn.ConvTranspose2d(WIDTH, CHANNELS, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return _over_gpus(self.main, z, self.ngpu)


class Discriminator(nn.Module):
    """Images (N, 3, 64, 64) → probabilities of being real (N, 1, 1, 1); the training loop flattens them."""

    def __init__(self, ngpu: int = 1) -> None:
        super().__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            nn.Conv2d(CHANNELS, WIDTH, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 2, WIDTH * 4, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 4, WIDTH * 8, 4, 2, 1, bias=False),
            BatchNorm2d(WIDTH * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH * 8, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images: Tensor) -> Tensor:
        return _over_gpus(self.main, images, self.ngpu)


def _over_gpus(network: nn.Module, inputs: Tensor, ngpu: int) -> Tensor:
    if ngpu > 1 and inputs.is_cuda:
        split: Tensor = nn.parallel.data_parallel(network, inputs, cards_from(inputs.device.index, ngpu))
        return split
    whole: Tensor = network(inputs)
    return whole


def cards_from(first: int, ngpu: int) -> list[int]:
    """The numbers of `ngpu` cards from `first` on: the tutorial's run is on the first of all."""
    there = torch.cuda.device_count()
    if first + ngpu > there:
        raise ValueError(f"ngpu={ngpu} from cuda:{first} on asks for more GPUs than there are: {there}")
    return list(range(first, first + ngpu))


def initialise(module: nn.Module) -> None:
    """Convolution weights N(0, 0.02), batch-norm weights N(1, 0.02), batch-norm biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
