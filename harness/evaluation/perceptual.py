"""Perceptual distances between images: LPIPS (Zhang et al. 2018), or that of an extractor's features.

LPIPS is torch-fidelity's, with weights from files: VGG-16's as torchvision publishes them, and LPIPS' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch_fidelity.sample_similarity_base import SampleSimilarityBase
from torch_fidelity.sample_similarity_lpips import NetLinLayer, SampleSimilarityLPIPS

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.extractors.extractor import Extractor
from harness.evaluation.extractors.networks import SmallExtractor
from harness.evaluation.extractors.published import sha256
from harness.evaluation.images import to_bytes
from harness.records.metrics import EXTRACTOR, LPIPS_DIVERSITY, MetricValue
from harness.training.device import full_float32, numerics

VGG16_FILE, LPIPS_FILE = "vgg16-397923af.pth", "weights-vgg16-lpips.pth"
_WIDTHS = (64, 128, 256, 512, 512)
_SLICES = (0, 4, 9, 16, 23, 30)  # of VGG-16's layers: each ends with the activation that is compared
_PAIRS, _AT_ONCE = 250, 50
_SEED = 2020


class PerceptualDistance(Protocol):
    """How far apart pairs of images look."""

    @property
    def name(self) -> str:
        """As the protocol has it."""
        ...

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        """Squared distances (n,) between images (n, 1 or 3, H, W), float values in [0, 1], on the CPU."""
        ...


@dataclass(frozen=True)
class FeatureDistance:
    """The squared Euclidean distance between the features of one of the harness's own extractors."""

    extractor: Extractor

    @property
    def name(self) -> str:
        """The extractor and the hash of its weights."""
        return f"features of {self.extractor.name} {self.extractor.weights}"

    @torch.no_grad()
    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        module, device = self.extractor.module, self.extractor.device
        assert isinstance(module, SmallExtractor)
        with numerics(device, deterministic=True, threads=None), full_float32():
            a, b = (module.features(images.to(device)) for images in (one, other))
            return (a - b).square().sum(1).cpu()


class Lpips(SampleSimilarityLPIPS):  # type: ignore[misc]
    """torch-fidelity's LPIPS with the weights of a folder.

    Raises:
        ValueError: a file holds something else.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        from torchvision.models.vgg import cfgs, make_layers  # brings TorchDynamo: two seconds

        SampleSimilarityBase.__init__(self, "lpips-vgg16")
        self.sample_similarity_resize = self.sample_similarity_dtype = None
        self.L, self.lins = len(_WIDTHS), []
        for number, width in enumerate(_WIDTHS):
            self.lins.append(NetLinLayer(width, use_dropout=True))
            self.add_module(f"lin{number}", self.lins[-1])
        _load(self, folder / LPIPS_FILE)
        features = make_layers(cfgs["D"])  # VGG-16's; its classifier, nine tenths of the file, plays no part
        _load(features, folder / VGG16_FILE, "features.")
        self.net = _Slices(features)
        self.name = "lpips-vgg16 " + " ".join(sha256(folder / file)[:12] for file in (LPIPS_FILE, VGG16_FILE))
        self.device = device
        self.requires_grad_(False)
        self.eval()
        self.to(device)

    @torch.no_grad()
    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        """Squared distances (n,) between images (n, 1 or 3, H, W), float values in [0, 1], on the CPU."""
        parts = []
        with numerics(self.device, deterministic=True, threads=None), full_float32():
            for pair in zip(torch.split(one, _AT_ONCE), torch.split(other, _AT_ONCE), strict=True):
                images = (255 * part.to(self.device).expand(-1, 3, -1, -1) for part in pair)
                parts.append(super().__call__(*images).reshape(-1).cpu())
        return torch.cat(parts)


class _Slices(nn.ModuleList):
    """The five activations that LPIPS compares, one after the other."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__(layers[start:end] for start, end in pairwise(_SLICES))

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for part in self:
            images = part(images)
            found.append(images)
        return found


def find_lpips(given: Path | None, device: torch.device) -> Lpips | None:
    """LPIPS, where both of its files lie in the folder given; None where they don't.

    Raises:
        ValueError: a file holds something else.
    """
    if given is None or not given.is_dir() or not all((given / name).is_file() for name in (VGG16_FILE, LPIPS_FILE)):
        return None
    return Lpips(given, device)


def perceptual_distances(extractors: Sequence[Extractor], lpips: Lpips | None) -> list[PerceptualDistance]:
    """Those that see less than a byte's level of difference: the harness's own extractors, and LPIPS if it is there."""
    found: list[PerceptualDistance] = [
        FeatureDistance(each) for each in extractors if isinstance(each.module, SmallExtractor)
    ]
    return found + ([lpips] if lpips else [])


def mean_pair_distance(images: Tensor, distance: PerceptualDistance, pairs: int = _PAIRS) -> float:
    """The mean distance between two of `images` (n, C, H, W), float values in [0, 1]: of n/2 pairs, `pairs` at most.

    Raises:
        ValueError: fewer than two.
    """
    one, other = random_pairs(len(images), pairs)
    return float(distance(images[one], images[other]).double().mean())


def random_pairs(n: int, most: int) -> tuple[Tensor, Tensor]:
    """Numbers of two different images each, no image twice: n/2 pairs, `most` at most.

    At random: labels run through the classes in turn, so that neighbours would never show the same one.

    Raises:
        ValueError: n is below 2.
    """
    if n < 2:
        raise ValueError(f"a distance between images takes two of them, not {n}")
    mixed = torch.randperm(n, generator=torch.Generator().manual_seed(_SEED))
    count = min(most, n // 2)
    return mixed[:count], mixed[count : 2 * count]


def lpips_diversity(images: Tensor, dataset: Dataset, value_range: tuple[float, float], lpips: Lpips) -> MetricValue:
    """How far apart two samples look to LPIPS, and what two real images do; of uint8 images (n, C, H, W)."""
    chosen = linspace_indices(len(dataset), 2 * _PAIRS)
    real = to_bytes(dataset[chosen].data, value_range).reshape(-1, *images.shape[1:])
    made = mean_pair_distance(images.float() / 255, lpips)
    true = mean_pair_distance(real.float() / 255, lpips)
    how = {EXTRACTOR: lpips.name, "pairs": str(min(_PAIRS, len(images) // 2)), "two real images": f"{true:.4g}"}
    return MetricValue(LPIPS_DIVERSITY, made, how)


def _load(module: nn.Module, file: Path, part: str = "") -> None:
    """The weights of a file, or those whose names begin with `part`, which the module's names don't."""
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
        module.load_state_dict({name.removeprefix(part): held[name] for name in held if name.startswith(part)})
    except Exception as error:
        raise ValueError(f"{file} doesn't hold what LPIPS needs: {' '.join(str(error).split())[:200]}") from error
