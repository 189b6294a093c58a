"""`idl-pgan-celebahq512`: the progressive GAN that document 004 takes from a hub, growing and fade-in included.

Source: document 004 (`004_9711d4b225dd23fb.txt`), chapter 9 of the book *Inside Deep Learning* (`idl`), section 9.6,
which loads the model `celebAHQ-512`; architecture and training after Karras, Aila, Laine and Lehtinen 2018 (arXiv
1710.10196) and the hub's settings. Parameter names are the hub's, so that its checkpoint file loads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players
from reference.api.registry import register
from reference.blocks.gradient_penalty import gradient_penalty
from reference.blocks.pgan_hub_checkpoint import read_hub_checkpoint
from reference.cards.idl_pgan_celebahq512 import CARD, card_for

LATENT, LEAK, PENALTY, DRIFT = 512, 0.2, 10.0, 0.001

# Channels at 4×4, 8×8, … 512×512.
WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32)


@register
@dataclass(frozen=True)
class IdlPganCelebahq512:
    """The system of section 9.6.

    `resolution` is the side of the last depth, `width` the channels at 4×4, `phase_steps` the training steps of each
    depth. `checkpoint` is the path of the hub's file: then the networks start from it, fully grown.
    """

    resolution: int = 512
    width: int = 512
    phase_steps: int = 96_000
    checkpoint: str = ""
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        """Generator (N, 512) → images; critic images → scores (N, 1); schedule, which counts steps.

        Raises:
            ValueError: the checkpoint can't be read, or doesn't fit.
        """
        generator, critic = Generator(self._widths), Critic(self._widths)
        schedule = Schedule(len(self._widths), self.phase_steps)
        if self.checkpoint:
            read_hub_checkpoint(self.checkpoint, generator, critic)
            schedule.finish()
        return {"generator": generator, "critic": critic, "schedule": schedule}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(1e-3, betas 0 and 0.99) for both networks."""
        return {
            role: torch.optim.Adam(networks[role].parameters(), lr=1e-3, betas=(0.0, 0.99))
            for role in ("generator", "critic")
        }

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One critic update with gradient penalty and drift, one generator update, at the schedule's depth."""
        generator, critic, schedule = players.generator, players.critic, _schedule(players.schedule)
        depth, old = schedule.phase()
        real = at_depth(batch.data, depth, old)
        n = len(real)

        critic.zero_grad()
        real_scores = critic(real, depth, old)
        fake = generator(noise.normal(n, LATENT), depth, old).detach()
        fake_scores = critic(fake, depth, old)
        epsilon = noise.uniform(n, 1, 1, 1)
        penalty = gradient_penalty(lambda mixed: critic(mixed, depth, old), real, fake, epsilon, whole_sample=True)
        drift = real_scores.square().mean()
        loss_critic = (fake_scores - real_scores).mean() + PENALTY * penalty + DRIFT * drift
        critic.backward(loss_critic)
        critic.step()

        generator.zero_grad()
        loss_generator = -critic(generator(noise.normal(n, LATENT), depth, old), depth, old).mean()
        generator.backward(loss_generator)
        generator.step()

        schedule.advance()
        return {
            "loss_critic": loss_critic.detach(),
            "loss_generator": loss_generator.detach(),
            "gradient_penalty": penalty.detach(),
            "side": real.new_tensor(4 * 2**depth),
            "faded_in": real.new_tensor(1 - old),
        }

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """(n, 3, S, S) in [−1, 1], S being the side of the depth that is trained."""
        depth, old = _schedule(networks["schedule"]).phase()
        samples: Tensor = networks["generator"](noise.normal(n, LATENT), depth, old)
        return samples.clamp(-1, 1)

    def __post_init__(self) -> None:
        sides = [4 * 2**depth for depth in range(len(WIDTHS))]
        if self.resolution not in sides:
            raise ValueError(f"resolution must be one of {', '.join(map(str, sides))}, not {self.resolution}")
        if not 16 <= self.width <= 512:
            raise ValueError(f"width must be from 16 to 512, not {self.width}")
        if self.phase_steps < 1:
            raise ValueError(f"phase_steps must be 1 or more, not {self.phase_steps}")
        if self.checkpoint and (self.resolution, self.width) != (512, 512):
            raise ValueError("the hub's checkpoint is of resolution 512 and width 512: leave both as they are")
        object.__setattr__(self, "card", card_for(self._widths, self.resolution, trained=bool(self.checkpoint)))

    @property
    def _widths(self) -> tuple[int, ...]:
        depths = int(math.log2(self.resolution)) - 1
        return tuple(max(1, width * self.width // 512) for width in WIDTHS[:depths])


class Equalized(nn.Module):
    """A layer whose weights are drawn from N(0, 1) and whose output is scaled by He's constant at every pass.

    The scale reaches the bias too, as in the hub's code.
    """

    def __init__(self, module: nn.Conv2d | nn.Linear) -> None:
        super().__init__()
        nn.init.normal_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
        self.module = module
        self.scale = math.sqrt(2 / math.prod(module.weight.shape[1:]))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.module(inputs) * self.scale
        return outputs


def convolution(inputs: int, outputs: int, kernel: int) -> Equalized:
    """An equalised convolution that keeps the side."""
    return Equalized(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


def pixel_norm(features: Tensor) -> Tensor:
    """Each place's vector of channels at unit mean square; (N, C) or (N, C, H, W)."""
    return features * (features.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def activated(features: Tensor) -> Tensor:
    """LeakyReLU(0.2), as everywhere in both networks."""
    return leaky_relu(features, LEAK)


def doubled(images: Tensor) -> Tensor:
    """Twice the height and width, by repeating each pixel."""
    return interpolate(images, scale_factor=2, mode="nearest")


def with_batch_deviation(features: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C + 1, H, W): one more channel, the mean standard deviation over groups of four samples."""
    n, channels, height, width = features.shape
    size = min(n, 4) if n % min(n, 4) == 0 else n
    if size == 1:
        return torch.cat([features, features.new_zeros(n, 1, height, width)], dim=1)
    grouped = features.view(size, n // size, channels, height, width)
    deviation = (grouped.var(dim=0) + 1e-8).sqrt().flatten(1).mean(dim=1)
    # The hub lays the groups' values out group by group over the batch.
    channel = deviation.repeat_interleave(size).view(n, 1, 1, 1).expand(n, 1, height, width)
    return torch.cat([features, channel], dim=1)


class Generator(nn.Module):
    """Latents (N, 512) → images (N, 3, 4·2ᵈ, 4·2ᵈ), unbounded; d is the depth, 0 to `len(widths) − 1`."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.depth = len(widths) - 1
        self.scaleLayers = nn.ModuleList()
        self.toRGBLayers = nn.ModuleList([convolution(widths[0], 3, 1)])
        self.formatLayer = Equalized(nn.Linear(LATENT, 16 * widths[0]))
        self.groupScale0 = nn.ModuleList([convolution(widths[0], widths[0], 3)])
        for before, width in pairwise(widths):
            self.scaleLayers.append(nn.ModuleList([convolution(before, width, 3), convolution(width, width, 3)]))
            self.toRGBLayers.append(convolution(width, 3, 1))

    def forward(self, latents: Tensor, depth: int | None = None, old: float = 0.0) -> Tensor:
        """`depth` None is the last; `old` is the share, 0 to 1, of the picture of one depth less, enlarged."""
        depth = self.depth if depth is None else depth
        features = activated(self.formatLayer(pixel_norm(latents)))
        features = pixel_norm(features.view(len(latents), -1, 4, 4))
        features = pixel_norm(activated(self.groupScale0[0](features)))
        before = features
        for level in list(self.scaleLayers)[:depth]:
            before = features
            features = doubled(features)
            for layer in level:  # type: ignore[attr-defined]
                features = pixel_norm(activated(layer(features)))
        images: Tensor = self.toRGBLayers[depth](features)
        if old > 0 and depth > 0:
            images = old * doubled(self.toRGBLayers[depth - 1](before)) + (1 - old) * images
        return images


class Critic(nn.Module):
    """Images (N, 3, 4·2ᵈ, 4·2ᵈ) → one unbounded score each, (N, 1).

    Raises:
        ValueError: images of another shape than the depth's.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.depth = len(widths) - 1
        self.scaleLayers = nn.ModuleList()
        self.fromRGBLayers = nn.ModuleList([convolution(3, widths[0], 1)])
        self.groupScaleZero = nn.ModuleList(
            [convolution(widths[0] + 1, widths[0], 3), Equalized(nn.Linear(16 * widths[0], widths[0]))]
        )
        self.decisionLayer = Equalized(nn.Linear(widths[0], 1))
        for after, width in pairwise(widths):
            self.scaleLayers.append(nn.ModuleList([convolution(width, width, 3), convolution(width, after, 3)]))
            self.fromRGBLayers.append(convolution(3, width, 1))

    def forward(self, images: Tensor, depth: int | None = None, old: float = 0.0) -> Tensor:
        """`depth` None is the last; `old` as the generator's."""
        depth = self.depth if depth is None else depth
        side = 4 * 2**depth
        if images.shape[1:] != (3, side, side):
            raise ValueError(
                f"the critic of idl-pgan-celebahq512 expects images of shape (N, 3, {side}, {side}) at depth {depth}, "
                f"not {tuple(images.shape)}"
            )
        features = activated(self.fromRGBLayers[depth](images))
        for level in range(depth, 0, -1):
            for layer in self.scaleLayers[level - 1]:  # type: ignore[attr-defined]
                features = activated(layer(features))
            features = avg_pool2d(features, 2)
            if level == depth and old > 0:
                small = activated(self.fromRGBLayers[depth - 1](avg_pool2d(images, 2)))
                features = old * small + (1 - old) * features
        features = activated(self.groupScaleZero[0](with_batch_deviation(features)))
        features = activated(self.groupScaleZero[1](features.flatten(1)))
        scores: Tensor = self.decisionLayer(features)
        return scores


class Schedule(nn.Module):
    """Which depth is trained after how many steps, and how far it has faded in. Its state is the count of steps.

    4×4 takes half as many steps as each later depth; a later one fades in over a fifth of its steps, from 256×256 on
    over two fifths, in up to 600 (1,200) equal jumps: the hub's settings, whose `phase_steps` is 96,000.
    """

    def __init__(self, depths: int, phase_steps: int) -> None:
        super().__init__()
        self.depths = depths
        self.phase_steps = phase_steps
        self.done = 0

    def phase(self) -> tuple[int, float]:
        """The depth of the next step, and the share of the depth before it: 1 when it has just been added, then 0."""
        left, depth = self.done, 0
        while depth < self.depths - 1 and left >= self._length(depth):
            left -= self._length(depth)
            depth += 1
        if depth == 0:
            return 0, 0.0
        fading = max(1, self.phase_steps * (2 if depth >= 6 else 1) // 5)
        jump = max(1, fading // (1200 if depth >= 6 else 600))
        return depth, max(0.0, 1 - left // jump * jump / fading)

    def advance(self) -> None:
        """Count one step."""
        self.done += 1

    def finish(self) -> None:
        """Count all steps as done: the last depth, faded in."""
        self.done = sum(map(self._length, range(self.depths)))

    def _length(self, depth: int) -> int:
        return self.phase_steps if depth else max(1, self.phase_steps // 2)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.done)

    def set_extra_state(self, state: Tensor) -> None:
        self.done = int(state)


def at_depth(images: Tensor, depth: int, old: float) -> Tensor:
    """Real images as the depth sees them: averaged down to 4·2ᵈ, and faded like the generator's pictures."""
    factor = images.shape[-1] // (4 * 2**depth)
    images = avg_pool2d(images, factor) if factor > 1 else images
    return old * doubled(avg_pool2d(images, 2)) + (1 - old) * images if old > 0 else images


def _schedule(role: Any) -> Schedule:
    """The role without an optimiser, which is handed over as it is."""
    assert isinstance(role, Schedule)
    return role
