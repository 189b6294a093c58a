"""The harness's own feature extractors, in torch-fidelity's registry as `mnistnet`, `celebanet` and `facesnet`.

They are used like any other of its extractors: `torch_fidelity.calculate_metrics(feature_extractor="mnistnet",
feature_extractor_weights_path=…)` gives the figures that the harness gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, logsigmoid
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from harness.data.faces import FREQUENCIES
from harness.files.tensors import read_tensors

FEATURES, LOGITS = "64", "logits"
DIMENSION = 64
COMBINED = ("Eyeglasses", "Male", "Smiling")  # the attributes whose combinations are classes


class SmallExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """uint8 images (N, 3, H, W) to 64 non-negative features and logits.

    Images of another size are resized to the network's own, bilinear with antialiasing. It is always in evaluation
    mode: `trunk` and `head` are trained apart from it, by `recipes`.
    """

    SIDE: ClassVar[int]
    CHANNELS: ClassVar[int]
    READS: ClassVar[tuple[str, ...]]  # what each output of the head stands for
    CLASSES: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | Path | None = None,
        **_: Any,
    ) -> None:
        super().__init__(name, list(features_list))
        if feature_extractor_weights_path is None:
            raise ValueError(f"{name} needs its weights: feature_extractor_weights_path isn't given")
        networks = make_networks(self)
        self.trunk, self.head = networks["trunk"], networks["head"]
        self.load_state_dict(read_tensors(Path(feature_extractor_weights_path)))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The layers asked for, in the order in which they were asked for."""
        if self.training:
            raise RuntimeError(f"{self.name} must be in evaluation mode: batch normalisation would mix the images")
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"{self.name} takes uint8 images (N, 3, H, W), not {images.dtype} {tuple(images.shape)}")
        features = self.features(images.float() / 255)
        found = {FEATURES: features, LOGITS: self.class_logits(self.head(features))}
        return tuple(found[name] for name in self.features_list)

    def features(self, values: Tensor) -> Tensor:
        """Features (N, 64) of float images (N, 1 or 3, H, W) in [0, 1]: for what lies between two levels of a byte."""
        found: Tensor = self.trunk(trunk_input(values, self.CHANNELS, self.SIDE))
        return found

    @classmethod
    def class_logits(cls, outputs: Tensor) -> Tensor:
        """What the head gives as logits of the classes, (N, classes)."""
        return outputs

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return FEATURES, LOGITS

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return LOGITS if metric == "isc" else FEATURES

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 32, 32, dtype=torch.uint8)


class MnistNet(SmallExtractor):
    """A digit classifier for MNIST."""

    SIDE, CHANNELS = 28, 1
    READS = CLASSES = tuple("0123456789")


class AttributesNet(SmallExtractor):
    """Attributes of faces. Its classes are the eight combinations of three of them, taken as independent."""

    SIDE, CHANNELS = 64, 3
    CLASSES = tuple(
        f"{'glasses' if a else 'no glasses'}, {'male' if b else 'female'}, {'smiling' if c else 'serious'}"
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1)
    )

    @classmethod
    def class_logits(cls, outputs: Tensor) -> Tensor:
        signs = torch.tensor([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], dtype=outputs.dtype)
        chosen = outputs[:, [cls.READS.index(name) for name in COMBINED]]
        return logsigmoid(chosen[:, None, :] * signs.to(outputs.device)).sum(-1)


class FacesNet(AttributesNet):
    """The thirteen attributes of the drawn faces."""

    READS = tuple(FREQUENCIES)


class CelebaNet(AttributesNet):
    """The forty attributes of CelebA's photographs."""

    READS = (
        *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips"),
        *("Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin"),
        *("Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open"),
        *("Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
        *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat"),
        *("Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
    )


EXTRACTORS: dict[str, type[SmallExtractor]] = {"mnistnet": MnistNet, "celebanet": CelebaNet, "facesnet": FacesNet}
for _name, _class in EXTRACTORS.items():
    if _name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(_name, _class)


def make_networks(extractor: SmallExtractor | type[SmallExtractor]) -> nn.ModuleDict:
    """`trunk` (N, channels, side, side) → (N, 64) and `head` (N, 64) → (N, outputs), freshly initialised."""
    widths = (extractor.CHANNELS, 16, 32, 64) if extractor.SIDE < 64 else (extractor.CHANNELS, 16, 32, 48, 64)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    side = extractor.SIDE >> (len(widths) - 1)
    layers += [nn.Flatten(), nn.Linear(widths[-1] * side * side, DIMENSION), nn.BatchNorm1d(DIMENSION), nn.ReLU()]
    return nn.ModuleDict({"trunk": nn.Sequential(*layers), "head": nn.Linear(DIMENSION, len(extractor.READS))})


def prepared(images: Tensor, channels: int, side: int) -> Tensor:
    """uint8 images (N, C, H, W) as what a trunk takes: floats in [0, 1], (N, channels, side, side)."""
    return trunk_input(images.float() / 255, channels, side)


def trunk_input(values: Tensor, channels: int, side: int) -> Tensor:
    """Float images (N, C, H, W) in [0, 1] with as many channels and of the size that a trunk takes."""
    if channels == 1:
        values = values.mean(1, keepdim=True)
    if values.shape[-2:] != (side, side):
        values = interpolate(values, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
    return values
