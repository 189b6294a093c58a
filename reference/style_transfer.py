"""`style-transfer`: a picture optimised to have one picture's content and another's style.

Source: document 001 (`001_244ddff150a5a419.txt`), which describes it in prose and gives no formula; losses after Gatys,
Ecker and Bethge 2015 (arXiv 1508.06576), section "Methods".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

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
    at_most,
)
from reference.api.protocols import Batch, Networks, Noise, Players, given_condition, guard
from reference.api.registry import register
from reference.api.user_modules import import_user_module
from reference.blocks.wrapped import unwrapped

RATE = 0.02
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures that VGG-19 was trained on
# VGG-19 up to the last style layer: a number is a 3×3 convolution's channels, each followed by ReLU; P pools.
VGG19: tuple[int | str, ...] = (
    64, 64, "P", 128, 128, "P", 256, 256, 256, 256, "P", 512, 512, 512, 512, "P", 512,
)  # fmt: skip
CONTENT_LAYER, STYLE_LAYERS = 22, "1+6+11+20+29"  # after the ReLU of conv4_2; of conv1_1, 2_1, 3_1, 4_1, 5_1


def vgg19() -> nn.Sequential:
    """VGG-19's feature layers up to conv5_1 with average pooling, drawn as torchvision draws them."""
    layers: list[nn.Module] = []
    channels = 3
    for entry in VGG19:
        if isinstance(entry, str):
            layers.append(nn.AvgPool2d(2))
            continue
        convolution = nn.Conv2d(channels, entry, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        convolution.bias = nn.Parameter(torch.zeros(entry))
        layers += [convolution, nn.ReLU()]
        channels = entry
    return nn.Sequential(*layers)


class Picture(nn.Module):
    """The picture that is optimised, (1, 3, S, S): white noise at first, as in the paper."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pixels = nn.Parameter(torch.rand(1, 3, size, size))

    def forward(self) -> Tensor:
        return self.pixels


class Features(nn.Module):
    """A fixed network's activations at the layers that the losses look at, and what they are for the two pictures.

    The targets are buffers: computed at the first step, then part of the state.
    """

    def __init__(self, layers: nn.Sequential, content_layer: int, style_layers: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.layers = layers.requires_grad_(False)
        self.content_layer, self.style_layers = content_layer, style_layers
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.remembered = False
        with torch.no_grad():
            content, grams = self.describe(torch.zeros(1, 3, size, size))
        self.register_buffer("content", torch.zeros_like(content))
        for index, gram in enumerate(grams):
            self.register_buffer(f"gram{index}", torch.zeros_like(gram))

    mean: Tensor
    deviation: Tensor

    def forward(self, pictures: Tensor) -> Tensor:
        """The last layer's activations of pictures (N, 3, S, S) with values from 0 to 1."""
        activations: Tensor = self.layers((pictures - self.mean) / self.deviation)
        return activations

    def describe(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The content layer's activations, and each style layer's Gram matrix over 2·channels·places."""
        activations: Tensor = (picture - self.mean) / self.deviation
        content, grams = activations, []
        for index, layer in enumerate(self.layers):
            activations = layer(activations)
            if index == self.content_layer:
                content = activations
            if index in self.style_layers:
                flat = activations.flatten(2).squeeze(0)
                grams.append(flat @ flat.T / (2 * flat.numel()))
        return content, grams

    def targets(self) -> tuple[Tensor, list[Tensor]]:
        """What `remember` kept, in the form of `describe`."""
        return self.get_buffer("content"), [self.get_buffer(f"gram{i}") for i in range(len(self.style_layers))]

    def remember(self, content: Tensor, style: Tensor) -> None:
        """Keep the content of one picture and the Gram matrices of the other; each (1, 3, S, S)."""
        kept_content, kept_grams = self.targets()
        with torch.no_grad():
            kept_content.copy_(self.describe(content)[0])
            for kept, gram in zip(kept_grams, self.describe(style)[1], strict=True):
                kept.copy_(gram)
        self.remembered = True

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.remembered)

    def set_extra_state(self, state: Tensor) -> None:
        self.remembered = bool(state)


def _picture_card(size: int) -> NetworkCard:
    shape = (3, size, size)
    return NetworkCard((), shape, {"": shape}, math.prod(shape))


def _features_card(size: int) -> NetworkCard:
    layers: dict[str, Shape] = {}
    channels, side = 3, size
    for entry in VGG19:
        if isinstance(entry, str):
            side //= 2
            layers[f"layers.{len(layers)}"] = (channels, side, side)
        else:
            channels = entry
            layers |= {f"layers.{len(layers) + i}": (channels, side, side) for i in (0, 1)}
    return NetworkCard(((3, size, size),), (channels, side, side), layers, 0)  # nothing of it is trained


def _features_weights() -> tuple[InitialWeights, ...]:
    rows, index = [], 0
    for entry in VGG19:
        if not isinstance(entry, str):
            rows.append(InitialWeights("features", f"layers.{index}.weight", "normal", 0.0, (2 / (9 * entry)) ** 0.5))
        index += 1 if isinstance(entry, str) else 2
    return (*rows, InitialWeights("features", "*.bias", "constant", 0.0))


CARD = Card(
    name="style-transfer",
    document="001",
    section="风格迁移",
    title="Neural style transfer by optimising a picture",
    dataset="content-and-style",
    data_shape=(3, 256, 256),
    data_range=(0.0, 1.0),
    latent_shape=None,
    condition="style",
    batch_size=1,
    drop_last=False,
    epochs=1000,
    seed=0,
    optimizer=OptimizerCard("Adam", RATE, (0.9, 0.999)),
    hyperparameters={"content weight": 1, "style weight": 1000},
    log=LogSchedule(every=1, first=1),
    sample_every=100,
    source="written from arXiv 1508.06576",
    networks={"picture": _picture_card(256), "features": _features_card(256)},
    initial_weights=(InitialWeights("picture", "pixels", "uniform", 0.0, 1.0), *_features_weights()),
    durations=(Duration("a GPU, one picture", None, 10),),
    claims=(
        Claim("content", "001, prose on style transfer", "the picture comes near the one picture in content", "near",
              "last_over_first_loss_content", at_most(0.5), epochs=300, needs_data=True,
              obstacle="needs VGG-19's trained weights (option `weights`) and two pictures of one's own"),
        Claim("style", "001, prose on style transfer", "and near the other in style", "near",
              "last_over_first_loss_style", at_most(0.1), epochs=300, needs_data=True,
              obstacle="needs VGG-19's trained weights (option `weights`) and two pictures of one's own"),
    ),
    deviations=(
        Deviation(1, "text against code", "The document describes the method in prose and prints no code and no "
                  "formula: the losses are those of the paper that the method comes from, content at conv4_2 and Gram "
                  "matrices at conv1_1 to conv5_1, equally weighted, with average pooling."),
        Deviation(2, "harness", "Adam takes the place of the paper's L-BFGS, which evaluates a loss several times in a "
                  "step; the rate of 0.02 is this project's."),
        Deviation(3, "harness", "The ratio of the weights is the paper's 1:1000, in torchvision's scaling of pixels."),
        Deviation(4, "harness", "An epoch is one step, for the data set is one pair of pictures; the document "
                  "speaks of hundreds to thousands of steps, here 1,000, and states its ten minutes without a count."),
        Deviation(5, "harness", "Without the option `weights` the feature network is random: enough to check the "
                  "computation, no judge of content. `features` is vgg19 or `module:callable` that returns an "
                  "`nn.Sequential`; `content_layer` and `style_layers` number its layers."),
    ),
    reduced="size=32",
)  # fmt: skip


@register
@dataclass(frozen=True)
class StyleTransfer:
    """The system that document 001 describes.

    `size` is the pictures' side. `features` names the feature network, `weights` the file of its weights (.pth or
    .safetensors, torchvision's names or the network's own), `content_layer` and `style_layers` (as 1+6+11) the layers
    that the losses look at.
    """

    size: int = 256
    features: str = "vgg19"
    weights: str = ""
    content_layer: int = CONTENT_LAYER
    style_layers: str = STYLE_LAYERS
    content_weight: float = 1.0
    style_weight: float = 1000.0
    card: ClassVar[Card] = CARD

    def __post_init__(self) -> None:
        if self.size < 16 or self.size > 2048 or self.size % 16:
            raise ValueError(f"size must be a multiple of 16 from 16 to 2048, which VGG-19 can halve, not {self.size}")
        own = self.features == "vgg19"
        networks = {"picture": _picture_card(self.size)} | ({"features": _features_card(self.size)} if own else {})
        initial = CARD.initial_weights if own and not self.weights else CARD.initial_weights[:1]
        card = dataclasses.replace(
            CARD,
            data_shape=(3, self.size, self.size),
            networks=networks,
            initial_weights=initial,
            claims=self._claims(),
        )
        object.__setattr__(self, "card", card)
        layers = (self.content_layer, *self._layers())
        if min(layers) < 0 or len(set(layers[1:])) < len(layers[1:]):
            raise ValueError(
                f"layers are counted from 0, each style layer once, not {layers[0]} and {self.style_layers}"
            )
        for name in ("content_weight", "style_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number from 0 on, not {getattr(self, name)}")

    def networks(self) -> dict[str, nn.Module]:
        """The picture, () → (1, 3, S, S); the features, pictures (N, 3, S, S) → activations, never trained.

        Raises:
            ValueError: the feature network or its weights can't be had.
        """
        picture = Picture(self.size)
        layers = vgg19() if self.features == "vgg19" else _called(self.features)
        if self.weights:
            _load(layers, Path(self.weights))
        most = max(self.content_layer, *self._layers())
        if most >= len(layers):
            raise ValueError(f"{self.features} has the layers 0 to {len(layers) - 1}, there is no layer {most}")
        try:
            features = Features(layers, self.content_layer, self._layers(), self.size)
        except Exception as error:  # whatever a stranger's network makes of a picture
            raise ValueError(f"{self.features} can't look at a picture of side {self.size}: {error}") from error
        return guard({"picture": picture, "features": features}, self.card)

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        """Adam(0.02) for the picture alone."""
        return {"picture": torch.optim.Adam(networks["picture"].parameters(), lr=RATE)}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """One update of the picture; `batch.data` is the content, `batch.condition` the style."""
        picture, features = players.picture, _features(players.features)
        if not features.remembered:
            features.remember(batch.data, given_condition(batch.condition, self.card, 1))
        content, grams = features.describe(picture())
        wanted_content, wanted_grams = features.targets()
        loss_content = (content - wanted_content).square().sum() / 2
        errors = [(gram - wanted).square().sum() for gram, wanted in zip(grams, wanted_grams, strict=True)]
        loss_style = torch.stack(errors).mean()
        loss = self.content_weight * loss_content + self.style_weight * loss_style

        picture.zero_grad()
        picture.backward(loss)
        picture.step()
        return {"loss": loss.detach(), "loss_content": loss_content.detach(), "loss_style": loss_style.detach()}

    def sample(
        self,
        networks: Networks,
        n: int,
        noise: Noise,
        labels: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """The picture, `n` times, (n, 3, S, S) in [0, 1]; there is only one, and nothing else plays a part."""
        picture: Tensor = networks["picture"]()
        return picture.clamp(0, 1).expand(n, -1, -1, -1)

    def _claims(self) -> tuple[Claim, ...]:
        """Of thumbnails nothing is claimed; with trained weights nothing stands in the way of deciding."""
        if self.size < 128:
            return ()
        return tuple(dataclasses.replace(claim, obstacle="") for claim in CARD.claims) if self.weights else CARD.claims

    def _layers(self) -> tuple[int, ...]:
        try:
            return tuple(int(word) for word in self.style_layers.split("+"))
        except ValueError:
            raise ValueError(
                f"style_layers takes numbers joined by +, as {STYLE_LAYERS}, not {self.style_layers}"
            ) from None


def _called(name: str) -> nn.Sequential:
    """The feature network that `module:callable` makes."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"features must be vgg19 or module:callable, not {name!r}")
    try:
        made = getattr(import_user_module(module), attribute)()
    except Exception as error:  # whatever a stranger's module does
        raise ValueError(f"the feature network {name} can't be had: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Sequential):
        raise ValueError(f"the feature network {name} must be an nn.Sequential, not a {type(made).__name__}")
    return made


def _load(layers: nn.Sequential, path: Path) -> None:
    """Weights from a file, under torchvision's names or the network's own."""
    if not path.is_file():
        raise ValueError(f"the weights {path} aren't a file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found: Mapping[str, Any] = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        own = {name.removeprefix("features."): one for name, one in unwrapped(found, f"the file {path}").items()}
        layers.load_state_dict({name: own[name] for name in layers.state_dict()})
    except KeyError as error:
        raise ValueError(f"the weights {path} don't fit the feature network: they lack {error}") from error
    except Exception as error:  # whatever torch says of a file that it doesn't know
        raise ValueError(f"the weights {path} can't be used: {' '.join(str(error).split())[:200]}") from error


def _features(role: Any) -> Features:
    """The role without an optimiser, which is handed over as it is."""
    assert isinstance(role, Features)
    return role
