"""`style-transfer`: a picture optimised to have one picture's content and another's style.

Source: document 001 (`001_244ddff150a5a419.txt`), which describes it in prose and gives no formula; losses after Gatys,
Ecker and Bethge 2015 (arXiv 1508.06576), section "Methods".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from reference.api.card import Card
from reference.api.protocols import Batch, Forward, Networks, Noise, Players, given_condition
from reference.api.registry import register
from reference.api.user_modules import import_user_module
from reference.blocks.wrapped import unwrapped
from reference.cards.style_transfer import CARD, card_for

RATE = 0.02

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the pictures that VGG-19 was trained on

# VGG-19 up to the last style layer: a number is a 3×3 convolution's channels, each followed by ReLU; P pools.
VGG19: tuple[int | str, ...] = (*(64, 64, "P"), *(128, 128, "P"), *(256,) * 4, "P", *(512,) * 4, "P", 512)

CONTENT_LAYER, STYLE_LAYERS = 22, "1+6+11+20+29"  # after the ReLU of conv4_2; of conv1_1, 2_1, 3_1, 4_1, 5_1


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

    def networks(self) -> dict[str, nn.Module]:
        """The picture, () → (1, 3, S, S); the features, pictures (N, 3, S, S) → activations, never trained.

        Raises:
            ValueError: the feature network or its weights can't be had.
        """
        return {"picture": Picture(self.size), "features": self._feature_network()}

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

    def sample(self, networks: Forward, n: int, noise: Noise) -> Tensor:
        """The picture, `n` times, (n, 3, S, S) in [0, 1]; there is only one, and nothing else plays a part."""
        picture: Tensor = networks["picture"]()
        return picture.clamp(0, 1).expand(n, -1, -1, -1)

    def __post_init__(self) -> None:
        if self.size < 16 or self.size > 2048 or self.size % 16:
            raise ValueError(f"size must be a multiple of 16 from 16 to 2048, which VGG-19 can halve, not {self.size}")
        card = card_for(self.size, own_features=self.features != "vgg19", trained=bool(self.weights))
        object.__setattr__(self, "card", card)
        layers = (self.content_layer, *self._layers())
        if min(layers) < 0 or len(set(layers[1:])) < len(layers[1:]):
            raise ValueError(
                f"layers are counted from 0, each style layer once, not {layers[0]} and {self.style_layers}"
            )
        for name in ("content_weight", "style_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number from 0 on, not {getattr(self, name)}")

    def _feature_network(self) -> Features:
        layers = vgg19() if self.features == "vgg19" else _called(self.features)
        if self.weights:
            _load(layers, Path(self.weights))
        most = max(self.content_layer, *self._layers())
        if most >= len(layers):
            raise ValueError(f"{self.features} has the layers 0 to {len(layers) - 1}, there is no layer {most}")
        try:
            return Features(layers, self.content_layer, self._layers(), self.size)
        except Exception as error:  # whatever a stranger's network makes of a picture
            raise ValueError(f"{self.features} can't look at a picture of side {self.size}: {error}") from error

    def _layers(self) -> tuple[int, ...]:
        try:
            return tuple(int(word) for word in self.style_layers.split("+"))
        except ValueError:
            raise ValueError(
                f"style_layers takes numbers joined by +, as {STYLE_LAYERS}, not {self.style_layers}"
            ) from None


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
