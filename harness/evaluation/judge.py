"""What measures a generator: an extractor that looks at its images, or the modes that its points should hit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from harness.data import Dataset
from harness.evaluation.compared import USUAL_N, choose_extractor, held_out_images, how_many
from harness.evaluation.extractors.extractor import Extractor
from harness.evaluation.images import BYTES, little_used
from harness.evaluation.mode_counters import ModeCounter, has_modes, mode_counter, samples_to_count
from harness.evaluation.options import EvaluateOptions
from harness.evaluation.perceptual import PerceptualDistance, find_lpips, lpips_diversity
from harness.evaluation.protocol import evaluate_sampler, evaluate_start, image_shape
from harness.records.metrics import MetricValue
from harness.training.sampler import Sampler
from reference import Card


class Judge(Protocol):
    """Measures samplers of one card.

    Attributes:
        n: samples of each.
        shown: the images that were looked at last, uint8 (n, C, H, W); None for points, and before any were.
    """

    n: int
    shown: Tensor | None

    def measure(self, sampler: Sampler) -> list[MetricValue]:
        """Every metric of its samples; raises ValueError for what can't be measured."""
        ...

    def measure_start(self, sampler: Sampler) -> list[MetricValue]:
        """What a training is held against where it began; nothing where none is."""
        ...

    def note(self) -> str:
        """What somebody should look at, "" for nothing."""
        ...


def judge_of(options: EvaluateOptions, card: Card, dataset: Dataset, device: torch.device, root: Path | None) -> Judge:
    """Who can measure what is drawn for `card`.

    Raises:
        ValueError: nobody; the one asked for can't; or fewer real images are there than samples are asked for.
    """
    if not has_modes(card):
        extractor = choose_extractor(options, card, dataset, device, root)
        lpips = find_lpips(options.extractor_weights, device)
        others = held_out_images(options, image_shape(card), card.data_range)
        return _Looking(extractor, dataset, how_many(options, dataset, "samples"), lpips, others)
    if options.extractor is not None:
        raise ValueError(
            f"--extractor {options.extractor} measures distances; what {card.name} draws is held against the modes of "
            f"{dataset.title}, which are counted"
        )
    return _Counting(mode_counter(card, dataset, device, root, USUAL_N), dataset, options.count)


class _Looking:
    def __init__(
        self, extractor: Extractor, dataset: Dataset, n: int, lpips: PerceptualDistance | None, held_out: Dataset | None
    ) -> None:
        self.extractor, self.dataset, self.n, self.lpips, self.held_out = extractor, dataset, n, lpips, held_out
        self.shown: Tensor | None = None

    def measure(self, sampler: Sampler) -> list[MetricValue]:
        values = evaluate_sampler(sampler, self.dataset, self.n, self.extractor, self._show, self.held_out)
        if self.lpips and self.shown is not None:
            values.append(lpips_diversity(self.shown, self.dataset, sampler.reference.card.data_range, self.lpips))
        return values

    def measure_start(self, sampler: Sampler) -> list[MetricValue]:
        return evaluate_start(sampler, self.dataset, self.n, self.extractor)

    def note(self) -> str:
        used = "" if self.shown is None else little_used(self.shown, BYTES)
        return f"its samples hold {used}, of 0 for black to 255 for white: does the card's range fit?" if used else ""

    def _show(self, images: Tensor) -> None:
        self.shown = images


class _Counting:
    shown: Tensor | None = None

    def __init__(self, counter: ModeCounter, dataset: Dataset, count: int | None) -> None:
        self.counter, self.dataset, self.n = counter, dataset, count or counter.counted

    def measure(self, sampler: Sampler) -> list[MetricValue]:
        samples = samples_to_count(sampler, self.n, self.dataset)
        self.shown = samples if samples.dtype == torch.uint8 else None
        return self.counter.count(samples)

    def measure_start(self, sampler: Sampler) -> list[MetricValue]:
        del sampler  # what no training has moved hits no mode: that tells nothing
        return []

    def note(self) -> str:
        return ""
