"""Perceptual distances between images: LPIPS where its weights are there, or that of an extractor's features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.extractors.extractor import Extractor
from harness.evaluation.extractors.networks import SmallExtractor
from harness.evaluation.extractors.published import LPIPS_FILE, VGG16_FILE
from harness.evaluation.images import to_bytes
from harness.records.metrics import EXTRACTOR, LPIPS_DIVERSITY, MetricValue
from harness.training.device import full_float32, numerics

_PAIRS = 250
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


def find_lpips(given: Path | None, device: torch.device) -> PerceptualDistance | None:
    """LPIPS, where both of its files lie in the folder given; None where they don't.

    Raises:
        ValueError: a file holds something else.
    """
    if given is None or not given.is_dir() or not all((given / name).is_file() for name in (VGG16_FILE, LPIPS_FILE)):
        return None
    from harness.evaluation.lpips import Lpips  # brings torch-fidelity and TorchDynamo: seconds

    return Lpips(given, device)


def perceptual_distances(extractors: Sequence[Extractor], lpips: PerceptualDistance | None) -> list[PerceptualDistance]:
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


def lpips_diversity(
    images: Tensor, dataset: Dataset, value_range: tuple[float, float], lpips: PerceptualDistance
) -> MetricValue:
    """How far apart two samples look to LPIPS, and what two real images do; of uint8 images (n, C, H, W)."""
    chosen = linspace_indices(len(dataset), 2 * _PAIRS)
    real = to_bytes(dataset[chosen].data, value_range).reshape(-1, *images.shape[1:])
    made = mean_pair_distance(images.float() / 255, lpips)
    true = mean_pair_distance(real.float() / 255, lpips)
    how = {EXTRACTOR: lpips.name, "pairs": str(min(_PAIRS, len(images) // 2)), "two real images": f"{true:.4g}"}
    return MetricValue(LPIPS_DIVERSITY, made, how)
