"""`idl-pgan-celebahq512`: the progressive GAN that document 004 takes from a hub, growing and fade-in included.

Source: document 004 (`004_9711d4b225dd23fb.txt`), section 9.6, which loads the model `celebAHQ-512`; architecture and
training after Karras, Aila, Laine and Lehtinen 2018 (arXiv 1710.10196) and the hub's settings. Parameter names are the
hub's, so that its checkpoint file loads.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    at_least,
    at_most,
)
from reference.api.protocols import Batch, Networks, Noise, Players, guard
from reference.api.registry import register
from reference.blocks.gradient_penalty import gradient_penalty
from reference.blocks.pgan_hub_checkpoint import read_hub_checkpoint

LATENT, LEAK, PENALTY, DRIFT = 512, 0.2, 10.0, 0.001
# Channels at 4×4, 8×8, … 512×512.
WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32)


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


def _generator_card(widths: tuple[int, ...], side: int) -> NetworkCard:
    layers: dict[str, Shape] = {
        "formatLayer.module": (16 * widths[0],), "groupScale0.0.module": (widths[0], 4, 4),
        f"toRGBLayers.{len(widths) - 1}.module": (3, side, side),
    }  # fmt: skip
    parameters = (LATENT + 1) * 16 * widths[0] + (9 * widths[0] + 1) * widths[0]
    for level, (before, width) in enumerate(pairwise(widths)):
        here = 8 * 2**level
        layers |= {f"scaleLayers.{level}.{i}.module": (width, here, here) for i in (0, 1)}
        parameters += (9 * before + 1) * width + (9 * width + 1) * width
    parameters += sum(3 * width + 3 for width in widths)
    return NetworkCard(((LATENT,),), (3, side, side), layers, parameters)


def _critic_card(widths: tuple[int, ...], side: int) -> NetworkCard:
    layers: dict[str, Shape] = {
        f"fromRGBLayers.{len(widths) - 1}.module": (widths[-1], side, side),
        "groupScaleZero.0.module": (widths[0], 4, 4), "groupScaleZero.1.module": (widths[0],),
        "decisionLayer.module": (1,),
    }  # fmt: skip
    parameters = (9 * (widths[0] + 1) + 1) * widths[0] + (16 * widths[0] + 1) * widths[0] + widths[0] + 1
    for level, (after, width) in enumerate(pairwise(widths)):
        here = 8 * 2**level
        layers |= {
            f"scaleLayers.{level}.0.module": (width, here, here), f"scaleLayers.{level}.1.module": (after, here, here)
        }  # fmt: skip
        parameters += (9 * width + 1) * width + (9 * width + 1) * after
    parameters += sum(3 * width + width for width in widths)
    return NetworkCard(((3, side, side),), (1,), layers, parameters)


CARD = Card(
    name="idl-pgan-celebahq512",
    document="004",
    section="9.6",
    title="Progressive GAN on CelebA-HQ at 512×512, from a hub's checkpoint or grown from 4×4",
    dataset="celeba-hq",
    data_shape=(3, 512, 512),
    data_range=(-1.0, 1.0),
    latent_shape=(LATENT,),
    batch_size=16,
    drop_last=True,
    epochs=384,
    seed=3,
    optimizer=OptimizerCard("Adam", 1e-3, (0.0, 0.99)),
    hyperparameters={"latent": 512, "leak": 0.2, "λ": 10, "ε": 0.001, "steps per depth": 96_000},
    log=LogSchedule(every=100, first=100),
    sample_every=1000,
    source="written from document 004, arXiv 1710.10196 and the published settings of the hub's model",
    networks={"generator": _generator_card(WIDTHS, 512), "critic": _critic_card(WIDTHS, 512)},
    initial_weights=tuple(
        weights
        for role in ("generator", "critic")
        for weights in (InitialWeights(role, "*.weight", "normal", 0.0, 1.0),
                        InitialWeights(role, "*.bias", "constant", 0.0))
    ),
    claims=(
        Claim("interpolation", "004, 9.6.2", "eight steps between two latents turn one face into the other smoothly",
              "smooth", "interpolation_largest_step_midpoints_20x10", at_most(0.5), needs_data=True,
              obstacle="needs the hub's checkpoint, which isn't here: with its path, "
              "`gan-harness sample 'idl-pgan-celebahq512@checkpoint=PATH' --mode interpolate --way midpoints` "
              "makes the picture and the numbers"),
        Claim("semantic", "004, 9.6.3", "adding the vector of a label moves the labelled attribute", "moves",
              "semantic_shift_Smiling_1000", at_least(0.2), needs_data=True,
              obstacle="needs the hub's checkpoint, which isn't here, and the document's 32 hand-made labels"),
    ),
    deviations=(
        Deviation(1, "text against code", "The document loads a trained model and doesn't train: the training follows "
                  "the paper's losses (means over the batch) and the hub's schedule, rates and batch of 16; 384 epochs "
                  "are its 720,000 steps on 30,000 pictures."),
        Deviation(2, "harness", "All depths are made at the start, those not reached yet unused, and Adam keeps its "
                  "moments when a depth is added: the hub adds layers and starts Adam afresh."),
        Deviation(3, "harness", "The hub's code also keeps an average of the generator's weights; the document samples "
                  "the generator itself, and so does this. The file's average is checked and not used."),
        Deviation(4, "formula against code", "The function that makes semantic vectors lost its negation and "
                  "subtracts a mean from itself: as written it returns zero. The latent tools have both, as written "
                  "and as meant."),
        Deviation(5, "harness", "`resolution`, `width` and `phase_steps` make a smaller system of the same kind; "
                  "`width` scales all channel counts from 512."),
        Deviation(6, "harness", "The document clamps pictures to [−1, 1] for display; so does sampling."),
        Deviation(7, "harness", "The hub's critic doesn't fade its second depth, 8×8, in: a slip of its code. Here "
                  "every depth fades in, as in the paper. The claim on interpolation is measured over ten midpoints, "
                  "where the document shows eight."),
        Deviation(8, "harness", "Seed 3 is the one with which the document draws its 32 faces."),
    ),
    reduced="resolution=16,width=32,phase_steps=4",
)  # fmt: skip


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
        side, widths = self.resolution, self._widths
        card = dataclasses.replace(
            CARD,
            data_shape=(3, side, side),
            networks={"generator": _generator_card(widths, side), "critic": _critic_card(widths, side)},
            claims=self._claims(),
        )
        object.__setattr__(self, "card", card)

    def _claims(self) -> tuple[Claim, ...]:
        """Of a smaller system nothing is claimed; of the hub's weights it can be decided."""
        if (self.resolution, self.width) != (512, 512):
            return ()
        return tuple(dataclasses.replace(c, obstacle="") for c in CARD.claims) if self.checkpoint else CARD.claims

    @property
    def _widths(self) -> tuple[int, ...]:
        depths = int(math.log2(self.resolution)) - 1
        return tuple(max(1, width * self.width // 512) for width in WIDTHS[:depths])

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
        return {**guard({"generator": generator}, self.card), "critic": critic, "schedule": schedule}

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

    def sample(
        self,
        networks: Networks,
        n: int,
        noise: Noise,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """(n, 3, S, S) in [−1, 1], S being the side of the depth that is trained; labels and condition play no part."""
        depth, old = _schedule(networks["schedule"]).phase()
        samples: Tensor = networks["generator"](noise.normal(n, LATENT), depth, old)
        return samples.clamp(-1, 1)


def _schedule(role: Any) -> Schedule:
    """The role without an optimiser, which is handed over as it is."""
    assert isinstance(role, Schedule)
    return role
