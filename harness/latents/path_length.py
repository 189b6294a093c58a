"""Perceptual path length: how far an image moves when its latent moves a little (Karras et al. 2019)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.images import as_images
from harness.evaluation.perceptual import PerceptualDistance
from harness.records.metrics import DISTANCE, PATH_LENGTH, MetricValue
from harness.training.sampler import Sampler

STEP = 1e-3  # of the way to another latent; pictures aren't rounded to bytes, so that it shows
_DISCARDED = 1.0  # per cent at either end, as torch-fidelity does


def path_length(sampler: Sampler, n: int, dataset: Dataset, distance: PerceptualDistance) -> MetricValue:
    """The mean over `n` paths, at their starts, without the lowest and the highest per cent: 0 where nothing moves.

    A latent moves a thousandth of the straight way to another one; the distance between both pictures is divided by
    that squared. Labels run through the classes in turn, conditions are evenly spread over `dataset`; whatever else
    sampling draws stays the same.

    Raises:
        ValueError: the reference has no latent, or draws no images.
    """
    card = sampler.reference.card
    first, second = sampler.latents(n), sampler.latents(n, stream=1)
    labels = torch.arange(n) % card.classes if card.classes else None
    condition = None
    if card.condition:
        places = linspace_indices(len(dataset), n).repeat(-(-n // min(n, len(dataset))))[:n]
        condition = dataset[places].condition
    start, moved = (
        _shown(sampler.at(latents, labels, condition), card.data_range)
        for latents in (first, first + STEP * (second - first))
    )
    lengths = distance(start, moved).double().numpy() / STEP**2
    low, high = np.percentile(lengths, [_DISCARDED, 100 - _DISCARDED])
    kept = lengths[(lengths >= low) & (lengths <= high)]
    how = {DISTANCE: distance.name, "step": f"{STEP:g} of a straight way, at its start", "paths": str(n)}
    return MetricValue(PATH_LENGTH, float(kept.mean()), how)


def _shown(samples: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Images (n, C, H, W), 0 for black and 1 for white."""
    low, high = value_range
    return ((as_images(samples).float() - low) / (high - low)).clamp(0, 1)
