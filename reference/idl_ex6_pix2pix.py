"""`idl-ex6-pix2pix`: image-to-image translation with a U-Net and a discriminator of patches.

Source: document 004 (`004_9711d4b225dd23fb.txt`), exercise 6, which asks for the paper: Isola, Zhu, Zhou and Efros 2017
(arXiv 1611.07004), sections 3 and 6.1 to 6.2.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    Duration,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    at_least,
    at_most,
)
from reference.api.protocols import Batch, Networks, Noise, Players, given_condition, guard
from reference.api.registry import register

L1_WEIGHT = 100.0


class UNet(nn.Module):
    """Condition (N, 3, S, S) → image (N, 3, S, S) in [−1, 1], S a power of two: down to 1×1 and up again.

    Layer i of the way down is joined to layer n − i of the way up. Dropout, the paper's noise, acts whenever the module
    is in training mode, in which it is also sampled.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        last = len(widths) - 1
        down: list[nn.Module] = []
        for level, width in enumerate(widths):
            layers: list[nn.Module] = [nn.Conv2d(widths[level - 1] if level else 3, width, 4, 2, 1)]
            if 0 < level < last:
                layers.append(nn.BatchNorm2d(width))
            down.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
        up: list[nn.Module] = []
        for level in range(last, 0, -1):
            joined = widths[level] if level == last else 2 * widths[level]
            layers = [nn.ConvTranspose2d(joined, widths[level - 1], 4, 2, 1), nn.BatchNorm2d(widths[level - 1])]
            if last - level < 3:
                layers.append(nn.Dropout(0.5))
            up.append(nn.Sequential(*layers, nn.ReLU()))
        up.append(nn.Sequential(nn.ConvTranspose2d(2 * widths[0], 3, 4, 2, 1), nn.Tanh()))
        self.down = nn.ModuleList(down)
        self.up = nn.ModuleList(up)

    def forward(self, condition: Tensor) -> Tensor:
        height, width = condition.shape[-2:]
        if height % 2 ** len(self.down) or width % 2 ** len(self.down):
            raise ValueError(f"this U-Net halves its pictures {len(self.down)} times; {height}×{width} pixels can't be")
        features = condition
        skipped: list[Tensor] = []
        for layer in self.down:
            features = layer(features)
            skipped.append(features)
        features = self.up[0](skipped.pop())
        for layer in list(self.up)[1:]:
            features = layer(torch.cat([features, skipped.pop()], dim=1))
        images: Tensor = features
        return images


class PatchDiscriminator(nn.Module):
    """Condition and image, (N, 3, S, S) each → one logit per overlapping 70×70 patch, (N, 1, S/8 − 2, S/8 − 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 1)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.patches = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        logits: Tensor = self.patches(torch.cat([condition, image], dim=1))
        return logits


def initialise(module: nn.Module) -> None:
    """Convolution weights N(0, 0.02), batch-norm weights N(1, 0.02), biases 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def _unet_widths(size: int, width: int) -> tuple[int, ...]:
    """Channels on the way down: width × 1, 2, 4, then 8 at every further halving."""
    return tuple(width * min(2**level, 8) for level in range(int(math.log2(size))))


def _generator_card(size: int, width: int) -> NetworkCard:
    widths = _unet_widths(size, width)
    last = len(widths) - 1
    layers: dict[str, Shape] = {}
    parameters = 0
    for level, channels in enumerate(widths):
        side = size >> (level + 1)
        count = 3 if 0 < level < last else 2
        layers |= {f"down.{level}.{part}": (channels, side, side) for part in range(count)}
        parameters += 16 * (widths[level - 1] if level else 3) * channels + channels + (count - 2) * 2 * channels
    for place, level in enumerate(range(last, 0, -1)):
        channels, side = widths[level - 1], size >> level
        count = 4 if place < 3 else 3
        layers |= {f"up.{place}.{part}": (channels, side, side) for part in range(count)}
        parameters += 16 * (widths[level] if place == 0 else 2 * widths[level]) * channels + 3 * channels
    layers |= {f"up.{last}.{part}": (3, size, size) for part in (0, 1)}
    return NetworkCard(((3, size, size),), (3, size, size), layers, parameters + 16 * 2 * widths[0] * 3 + 3)


def _discriminator_card(size: int, width: int) -> NetworkCard:
    half, quarter, eighth = size // 2, size // 4, size // 8
    layers: dict[str, Shape] = {f"patches.{i}": (width, half, half) for i in (0, 1)}
    layers |= {f"patches.{i}": (2 * width, quarter, quarter) for i in (2, 3, 4)}
    layers |= {f"patches.{i}": (4 * width, eighth, eighth) for i in (5, 6, 7)}
    layers |= {f"patches.{i}": (8 * width, eighth - 1, eighth - 1) for i in (8, 9, 10)}
    layers["patches.11"] = (1, eighth - 2, eighth - 2)
    parameters = 16 * (6 + 2 * width + 8 * width + 32 * width) * width + 15 * width + 2 * 14 * width
    picture = (3, size, size)
    return NetworkCard((picture, picture), layers["patches.11"], layers, parameters + 16 * 8 * width + 1)


def _initial_weights(size: int) -> tuple[InitialWeights, ...]:
    last = int(math.log2(size)) - 1
    norms = [("generator", f"down.{level}.1") for level in range(1, last)]
    norms += [("generator", f"up.{place}.1") for place in range(last)]
    norms += [("discriminator", f"patches.{index}") for index in (3, 6, 9)]
    return (
        *(InitialWeights(role, f"{name}.weight", "normal", 1.0, 0.02) for role, name in norms),
        *(InitialWeights(role, "*.weight", "normal", 0.0, 0.02) for role in ("generator", "discriminator")),
        *(InitialWeights(role, "*.bias", "constant", 0.0) for role in ("generator", "discriminator")),
    )


CARD = Card(
    name="idl-ex6-pix2pix",
    document="004",
    section="exercise 6",
    title="pix2pix: from outlines to pictures",
    dataset="pairs",
    data_shape=(3, 256, 256),
    data_range=(-1.0, 1.0),
    latent_shape=None,
    condition="paired",
    batch_size=1,
    drop_last=False,
    epochs=200,
    seed=0,
    optimizer=OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
    hyperparameters={"L1 weight": 100, "width": 64, "dropout": 0.5, "leak": 0.2, "initial deviation": 0.02},
    log=LogSchedule(every=100, first=100),
    source="written from arXiv 1611.07004",
    networks={"generator": _generator_card(256, 64), "discriminator": _discriminator_card(256, 64)},
    initial_weights=_initial_weights(256),
    durations=(Duration("a single Pascal Titan X (facades)", 200, 120),),
    claims=(
        Claim("nearer", "arXiv 1611.07004, section 3.1", "the L1 term pulls the output towards the true picture",
              "towards the truth", "translation_error_ratio_100", at_most(0.5), epochs=200, needs_data=True),
        Claim("little-noise", "arXiv 1611.07004, section 3.1", "dropout brings only minor variation between samples of "
              "one condition", "minor", "translation_spread_over_noise", at_most(0.1), epochs=200, needs_data=True),
        Claim("some-noise", "arXiv 1611.07004, section 3.1", "and yet it brings some", "minor",
              "translation_spread_over_noise", at_least(1e-4), epochs=200, needs_data=True),
    ),
    deviations=(
        Deviation(1, "repair", "With one picture a batch, batch normalisation of the 1×1 bottleneck would zero it, as "
                  "the paper's erratum says; it has none, as in the authors' code."),
        Deviation(2, "text against code", "The appendix lists the decoder's widths with the joined channels, and says "
                  "that every convolution of the discriminator has stride 2; a field of 70×70 takes stride 1 in its "
                  "last two layers, as in the authors' code."),
        Deviation(3, "harness", "Sampling runs pictures one by one, so that each is normalised by its own statistics "
                  "as in training, and leaves dropout on, as the paper does."),
        Deviation(4, "harness", "The condition is the left half of each pair, `swap` takes the right one; the paper "
                  "has data sets of both kinds. 200 epochs are those of its facades."),
        Deviation(5, "harness", "The paper draws weights from N(0, 0.02); BatchNorm's from N(1, 0.02) and biases of "
                  "0 are those of the authors' code."),
        Deviation(6, "harness", "`size` and `width` make a smaller system of the same kind; the U-Net always goes down "
                  "to 1×1. The error claim is measured on training pairs and compares with pictures of other "
                  "pairs, the noise claims are standard deviations in shares of the pixel range; both bands "
                  "are this project's."),
    ),
    reduced="size=64,width=8",
)  # fmt: skip


@register
@dataclass(frozen=True)
class IdlEx6Pix2pix:
    """The system of exercise 6.

    `size` is the pictures' side, `width` the first layer's channels; `swap` translates from right to left.
    """

    size: int = 256
    width: int = 64
    swap: bool = False
    card: ClassVar[Card] = CARD

    def __post_init__(self) -> None:
        if self.size < 32 or self.size > 1024 or self.size & (self.size - 1):
            raise ValueError(
                f"size must be a power of two from 32 to 1024, which the U-Net can halve down to 1, not {self.size}"
            )
        if not 1 <= self.width <= 1024:
            raise ValueError(f"width must be from 1 to 1024, not {self.width}")
        card = dataclasses.replace(
            CARD,
            dataset="pairs-swapped" if self.swap else "pairs",
            data_shape=(3, self.size, self.size),
            networks={
                "generator": _generator_card(self.size, self.width),
                "discriminator": _discriminator_card(self.size, self.width),
            },
            initial_weights=_initial_weights(self.size),
            claims=CARD.claims if (self.size, self.width) == (256, 64) else (),  # of a smaller one, nothing is claimed
        )
        object.__setattr__(self, "card", card)

    def networks(self) -> dict[str, nn.Module]:
        """Generator condition → image, (N, 3, S, S) in [−1, 1]; discriminator condition, image → patch logits."""
        generator = UNet(_unet_widths(self.size, self.width)).apply(initialise)
        discriminator = PatchDiscriminator(self.width).apply(initialise)
        return guard({"generator": generator, "discriminator": discriminator}, self.card)

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(2e-4, betas 0.5 and 0.999) for both."""
        return {
            role: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for role, network in networks.items()
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Discriminator on half the sum of its losses on a fake and the real pair; generator on log D and 100·L1."""
        generator, discriminator = players.generator, players.discriminator
        condition = given_condition(batch.condition, self.card, len(batch.data))
        fake = generator(condition)

        discriminator.zero_grad()
        fake_logits = discriminator(condition, fake.detach())
        real_logits = discriminator(condition, batch.data)
        loss_fake = binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        loss_real = binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        loss_discriminator = (loss_fake + loss_real) / 2
        discriminator.backward(loss_discriminator)
        discriminator.step()

        generator.zero_grad()
        judged = discriminator(condition, fake)
        loss_adversarial = binary_cross_entropy_with_logits(judged, torch.ones_like(judged))
        loss_l1 = l1_loss(fake, batch.data)
        generator.backward(loss_adversarial + L1_WEIGHT * loss_l1)
        generator.step()

        return {
            "loss_discriminator": loss_discriminator.detach(),
            "loss_adversarial": loss_adversarial.detach(),
            "loss_l1": loss_l1.detach(),
            "D(x)": real_logits.detach().sigmoid().mean(),
            "D(G(c))": fake_logits.detach().sigmoid().mean(),
        }

    def sample(
        self,
        networks: Networks,
        n: int,
        noise: Noise,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """(n, 3, S, S) in [−1, 1] from `condition` (n, 3, S, S), one by one; labels and noise play no part."""
        condition = given_condition(condition, self.card, n)
        return torch.cat([networks["generator"](one) for one in torch.split(condition, 1)])
