"""The harness's own feature extractors: `mnistnet`, `celebanet` and `facesnet`.

`registered` enters them in torch-fidelity's registry.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, logsigmoid

from harness.data.faces import FREQUENCIES
from harness.files.tensors import read_tensors

DIMENSION = 64
COMBINED = ("Eyeglasses", "Male", "Smiling")  # the attributes whose combinations are classes


class SmallExtractor(nn.Module):
    """uint8 images (N, 3, H, W) to 64 non-negative features and logits, with weights from a file.

    Images of another size are resized to the network's own, bilinear with antialiasing. It is always in evaluation
    mode: `trunk` and `head` are trained apart from it, by `train`.
    """

    SIDE: ClassVar[int]
    CHANNELS: ClassVar[int]
    READS: ClassVar[tuple[str, ...]]  # what each output of the head stands for
    CLASSES: ClassVar[tuple[str, ...]]

    def __init__(self, weights: Path) -> None:
        super().__init__()
        networks = make_networks(self)
        self.trunk, self.head = networks["trunk"], networks["head"]
        self.load_state_dict(read_tensors(weights))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, 64) and logits (N, classes)."""
        name = type(self).__name__
        if self.training:
            raise RuntimeError(f"{name} must be in evaluation mode: batch normalisation would mix the images")
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"{name} takes uint8 images (N, 3, H, W), not {images.dtype} {tuple(images.shape)}")
        features = self.features(images.float() / 255)
        return features, self.class_logits(self.head(features))

    def features(self, values: Tensor) -> Tensor:
        """Features (N, 64) of float images (N, 1 or 3, H, W) in [0, 1]: for what lies between two levels of a byte."""
        found: Tensor = self.trunk(trunk_input(values, self.CHANNELS, self.SIDE))
        return found

    @classmethod
    def class_logits(cls, outputs: Tensor) -> Tensor:
        """What the head gives as logits of the classes, (N, classes)."""
        return outputs


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
