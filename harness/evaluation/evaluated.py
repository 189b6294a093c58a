"""One evaluation: which extractor looks, what is compared with what, and every value with its protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import evenly_spread
from harness.evaluation.extractors.opened import Extractor, inception_file
from harness.evaluation.features import Said, features_of, real_features, silent
from harness.evaluation.generated import generate, sampling_batch, uses_batch_statistics
from harness.evaluation.quality import Value, measure, metric_name
from harness.evaluation.sampler import Sampler
from reference import Card

_DIGITS = ("mnist", "mnist-erased")
_FACES = ("celeba", "celeba-hq", "lsun-bedroom", "pairs", "pairs-swapped")
HEADLINE = ("fid", "kid", "precision", "recall", "class_kl")


@dataclass(frozen=True)
class QualityValue:
    """A value under the name of its record, with everything that decides whether another may be held against it."""

    metric: str
    measured: Value
    n: int
    protocol: dict[str, str]
    headline: bool


@dataclass(frozen=True)
class RealImages:
    """What generated images are held against: a data set, given in a shape (C, H, W) and a range of values.

    `digits` says that its classes are the ten digits.
    """

    dataset: Dataset
    shape: tuple[int, ...]
    value_range: tuple[float, float]
    digits: bool = False

    @classmethod
    def of(cls, card: Card, dataset: Dataset) -> RealImages:
        """A card's data."""
        return cls(dataset, image_shape(card), card.data_range, card.dataset in _DIGITS)


def is_image_reference(card: Card) -> bool:
    """Whether there is a distribution of images to compare: points have modes, a single picture has none."""
    return prod(card.data_shape) > 2 and card.dataset in (*_DIGITS, *_FACES)


def extractor_name(card: Card, real: bool, inception: Path | None) -> str:
    """The extractor for a reference's images, on the real data or its stand-in.

    Raises:
        ValueError: nothing here can look at them, with the reason.
    """
    if not is_image_reference(card):
        raise ValueError(f"{card.name} is on {card.dataset!r}: sample quality is measured on sets of images")
    if card.dataset in _DIGITS:
        return "mnistnet" if real else "digitsnet"
    if not real:
        return "facesnet"
    inception_file(inception)
    return "inception"


def sample_size(asked: int, dataset: Dataset) -> int:
    """How many samples are compared with as many real images: what is asked for, or what there is."""
    return min(asked, len(dataset))


def evaluate_sampler(
    sampler: Sampler,
    dataset: Dataset,
    n: int,
    extractor: Extractor,
    said: Said = silent,
    show: Callable[[Tensor], None] = lambda _: None,
) -> list[QualityValue]:
    """Every quality metric of a reference's samples: as documented, and with running statistics where that differs.

    `show` is handed the samples as documented, uint8 (n, C, H, W).

    Raises:
        ValueError: samples that can't be measured, or too few.
    """
    card = sampler.reference.card
    modes = {False: "batch statistics", True: "running statistics"}
    if not uses_batch_statistics(sampler.networks):
        modes = {False: "as sampled"}
    found = []
    for running, batch_norm in modes.items():
        images = generate(sampler, n, dataset, running=running, said=said)
        if not running:
            show(images)
        drawn = {"sampling batch": str(sampling_batch(card)), "batch norm": batch_norm}
        real = RealImages.of(card, dataset)
        found += evaluate_images(images, real, extractor, drawn, running=running, said=said)
    return found


def evaluate_images(
    images: Tensor,
    real: RealImages,
    extractor: Extractor,
    drawn: dict[str, str],
    *,
    running: bool = False,
    said: Said = silent,
) -> list[QualityValue]:
    """Every quality metric of uint8 images (n, C, H, W) against as many real ones.

    `drawn` joins the protocol: how the images were made.

    Raises:
        ValueError: images of another size or channel count than the real ones, all the same, or too few.
    """
    dataset, shape = real.dataset, real.shape
    if tuple(images.shape[1:]) not in (shape, (3, *shape[1:])):
        given, wanted = ("×".join(map(str, size)) for size in (images.shape[1:], shape))
        raise ValueError(f"images of {given} can't be compared with {dataset.title} of {wanted}: resizing changes FID")
    n = len(images)
    training = real_features(dataset, shape, real.value_range, extractor, said)
    if n > len(training):
        raise ValueError(f"{n} images can't be compared with {len(training)} of {dataset.title}: give as many or fewer")
    generated = features_of(images, extractor, said, "generated images")
    said(f"computing metrics of {n} images")
    compared = training.rows(evenly_spread(len(training), n))
    values = measure(generated, compared, training, extractor.classes, digits=real.digits)
    protocol = {**extractor.protocol(), "size": "×".join(map(str, shape)), "real": f"{n}, evenly spread", **drawn}
    return [
        QualityValue(
            metric_name(value.name, extractor.name, n, running=running), value, n, protocol | value.protocol,
            headline=value.name in HEADLINE and not running,
        )
        for value in values
    ]  # fmt: skip


def image_shape(card: Card) -> tuple[int, ...]:
    """(C, H, W) of a card's images, whatever their arrangement."""
    shape = card.data_shape
    if len(shape) == 3:
        return shape
    if len(shape) == 2:
        return (1, *shape)
    side = round(prod(shape) ** 0.5)
    return (1, side, side)
