"""What counts the modes that samples show: those of points in the plane, or of three digits in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from harness.data import Dataset
from harness.data.mixtures import MIXTURES, modes_of, points_counted
from harness.data.stacked import COUNTED, SHAPE, STACKED, StackedMnist
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.generate import generate
from harness.evaluation.mode_coverage import coverage_of, stacked_coverage
from harness.records.metrics import EXTRACTOR, MetricValue
from harness.training.sampler import Sampler
from reference import Card, Modes, get

MODE_SETS = (*MIXTURES, STACKED)  # data sets whose modes are known


class ModeCounter(Protocol):
    """Counts the modes of a data set that samples show.

    Attributes:
        modes: how many there are.
        counted: samples in which they are counted, unless asked for otherwise.
    """

    modes: int
    counted: int

    def count(self, samples: Tensor) -> list[MetricValue]:
        """What is said of points (n, 2), or of uint8 pictures (n, 3, 28, 28).

        Raises:
            ValueError: samples of another shape, or values that aren't finite.
        """
        ...


def mode_counter(card: Card, dataset: Dataset, device: torch.device, root: Path | None, usual: int) -> ModeCounter:
    """What counts the modes of a card's data, in as many samples as the field does, else in the usual number.

    Raises:
        ValueError: nobody knows modes of it.
    """
    if (modes := modes_of(card)) is not None:
        return _Points(modes, points_counted(card, usual))
    if isinstance(dataset, StackedMnist):
        return _Digits(dataset, device, root)
    raise ValueError(
        f"{card.name} is on {card.dataset}, whose modes nobody knows; known are those of {', '.join(MODE_SETS)}"
    )


def samples_to_count(sampler: Sampler, n: int, dataset: Dataset) -> Tensor:
    """`n` samples as a counter takes them: points as they are drawn, pictures as bytes."""
    if len(sampler.reference.card.data_shape) == 1:
        return sampler.draw(n)
    return generate(sampler, n, dataset)


def has_modes(card: Card) -> bool:
    """Whether the modes of a card's data are known."""
    return modes_of(card) is not None or card.dataset == STACKED


def modes_asked(against: str) -> bool:
    """Whether `against` names a data set whose modes are known, or a reference on one."""
    return against in MODE_SETS or (bool(against) and not Path(against).is_dir() and has_modes(get(against).card))


def card_of_modes(name: str) -> Card:
    """A card for a data set by its own name: what samples of one's own are held against."""
    mixture = MIXTURES.get(name)
    shape, value_range = (SHAPE, (0.0, 1.0)) if mixture is None else ((2,), (-5.0, 5.0))
    return Card(name=name, data_shape=shape, data_range=value_range, batch_size=1, epochs=1, dataset=name)


class _Points:
    def __init__(self, modes: Modes, counted: int) -> None:
        self.known, self.counted, self.modes = modes, counted, len(modes.centres)

    def count(self, samples: Tensor) -> list[MetricValue]:
        found = coverage_of(samples.double().numpy(), self.known)
        return [*found.values(), *found.by_mode(self.known, len(samples))]


class _Digits:
    modes, counted = 1000, COUNTED

    def __init__(self, dataset: StackedMnist, device: torch.device, root: Path | None) -> None:
        self.shares = dataset.shares
        self.extractor = load_extractor("mnistnet", device, root)

    def count(self, samples: Tensor) -> list[MetricValue]:
        if tuple(samples.shape[1:]) != SHAPE or samples.dtype != torch.uint8:
            raise ValueError(f"modes of stacked digits are counted in pictures (n, 3, 28, 28), not {samples.shape[1:]}")
        read = [self.extractor(samples[:, place : place + 1], f"digit {place + 1} of 3")[1] for place in range(3)]
        found = stacked_coverage(torch.stack([logits.argmax(1) for logits in read], dim=1), self.shares)
        how = {EXTRACTOR: f"{self.extractor.name} {self.extractor.weights}"}
        return [MetricValue(value.metric, value.value, how) for value in found]
