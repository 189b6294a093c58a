"""One evaluation: which extractor looks, what is compared with what, and every value with its protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import held_out_from, linspace_indices
from harness.evaluation.extractors.extractor import NAMES, Extractor
from harness.evaluation.extractors.published import PUBLISHED, NoExtractorError, given_extractors, published_file
from harness.evaluation.features import features_of, real_features
from harness.evaluation.generate import by_their_batch, generate, sampling_batch
from harness.evaluation.metrics import distances, measure_quality
from harness.records.metrics import (
    BATCH_NORM,
    EXTRACTOR,
    GENERATED,
    RUNNING,
    STATISTICS,
    UNTRAINED,
    MetricValue,
)
from harness.records.progress import report_progress
from harness.training.sampler import Sampler
from reference import Card

_log = logging.getLogger(__name__)

DIGITS = ("mnist", "mnist-erased")
_PHOTOGRAPHED_FACES = ("celeba", "celeba-hq")
# Who looks at images of one's own without Inception, by their channels.
_BY_CHANNELS = {1: "mnistnet", 3: "celebanet"}
_FACES = ("celeba", "celeba-hq", "lsun-bedroom", "pairs", "pairs-swapped")


@dataclass(frozen=True)
class RealImages:
    """What generated images are held against: a data set, given in a shape (C, H, W) and a range of values.

    `digits` says that its classes are the ten digits. `held_out` are others of the same kind, that nothing was trained
    on.
    """

    dataset: Dataset
    shape: tuple[int, ...]
    value_range: tuple[float, float]
    digits: bool = False
    held_out: Dataset | None = None

    @classmethod
    def of(cls, card: Card, dataset: Dataset, held_out: Dataset | None = None) -> RealImages:
        """A card's data; `held_out` instead of what the data set itself knows to be."""
        others = held_out or held_out_from(dataset)
        return cls(dataset, image_shape(card), card.data_range, card.dataset in DIGITS, others)


def is_image_reference(card: Card) -> bool:
    """Whether there is a distribution of images to compare: points have modes, a single picture has none."""
    own = card.dataset == "own" and len(card.data_shape) == 3 and card.data_shape[0] in _BY_CHANNELS
    return own or (prod(card.data_shape) > 2 and card.dataset in (*DIGITS, *_FACES))


def extractor_names(card: Card, dataset: Dataset, published: Path | None) -> list[str]:
    """The extractors that were trained to see what a card's data set shows, the harness's own first.

    Those whose weights others publish are left out where these aren't there and another can look. At images of one's
    own look these first, and without their weights whichever of the harness's has seen such channels: see
    `was_trained_for`.

    Raises:
        NoExtractorError: nothing here can look at it, with the reason.
        ValueError: published weights are something else.
    """
    if not is_image_reference(card):
        raise NoExtractorError(f"{card.name} is on {card.dataset!r}: sample quality is measured on sets of images")
    there = given_extractors(published)
    fitting = [name for name in NAMES if was_trained_for(name, card, dataset)]
    if card.dataset == "own":
        fitting = [*PUBLISHED, _BY_CHANNELS[card.data_shape[0]]]
    if not fitting:
        raise NoExtractorError(
            f"no extractor was trained on {dataset.title}: --extractor NAME --any-data lets one look all the same "
            f"({', '.join(NAMES)})"
        )
    found = [name for name in fitting if name not in PUBLISHED or name in there]
    for name in found or fitting[:1]:
        if name in PUBLISHED:
            published_file(name, published)  # says what is wrong with it, or that it isn't there
    return found


def was_trained_for(extractor: str, card: Card, dataset: Dataset) -> bool:
    """Whether an extractor has learned to see what a card's data set shows."""
    if extractor in PUBLISHED:  # what the field looks at photographs with
        return card.dataset in (*_FACES, "own") and dataset.real
    drawn = dataset.title.startswith("stand-in: ")
    return {
        "mnistnet": card.dataset in DIGITS and dataset.real,
        "celebanet": card.dataset in _PHOTOGRAPHED_FACES and dataset.real,
        "facesnet": card.dataset in _FACES and drawn,
    }[extractor]


def sample_size(asked: int, dataset: Dataset) -> int:
    """How many samples are compared with as many real images: what is asked for, or what there is."""
    return min(asked, len(dataset))


def evaluate_sampler(
    sampler: Sampler,
    dataset: Dataset,
    n: int,
    extractor: Extractor,
    show: Callable[[Tensor], None] = lambda _: None,
    held_out: Dataset | None = None,
) -> list[MetricValue]:
    """Every quality metric of a reference's samples: as documented, and with running statistics where that differs.

    `show` is handed the samples as documented, uint8 (n, C, H, W). `held_out` are images that nothing was trained on,
    where the data set knows of none.

    Raises:
        ValueError: samples that can't be measured, or too few.
    """
    card = sampler.reference.card
    changed, strange = by_their_batch(sampler, dataset), not was_trained_for(extractor.name, card, dataset)
    found = []
    for running in (frozenset[str](), changed) if changed else (changed,):
        images = generate(sampler, n, dataset, running=running)
        if not running:
            show(images)
        drawn = _drawn(card, changed, running)
        real = RealImages.of(card, dataset, held_out)
        found += evaluate_images(images, real, extractor, drawn, running=bool(running), strange=strange)
    return found


def evaluate_start(sampler: Sampler, dataset: Dataset, n: int, extractor: Extractor) -> list[MetricValue]:
    """FID and KID of networks as they are drawn, sampled as documented: what no better one has left its start.

    Raises:
        ValueError: untrained, they can't be measured: a growing generator begins with smaller images, another leaves
            its range.
    """
    card = sampler.reference.card
    images = generate(sampler, n, dataset, what="generating before training")
    drawn = _drawn(card, by_their_batch(sampler, dataset), frozenset())
    real = RealImages.of(card, dataset)
    strange = not was_trained_for(extractor.name, card, dataset)
    found = evaluate_images(images, real, extractor, drawn, distances_alone=True, strange=strange)
    return [value.at(UNTRAINED, 0.0) for value in found]


def _drawn(card: Card, changed: Collection[str], running: Collection[str]) -> dict[str, str]:
    """What the protocol says of how samples were drawn."""
    batch_norm = ("running statistics" if running else "batch statistics") if changed else "as sampled"
    return {"sampling batch": str(sampling_batch(card)), BATCH_NORM: batch_norm}


def evaluate_images(
    images: Tensor,
    real: RealImages,
    extractor: Extractor,
    drawn: dict[str, str],
    *,
    running: bool = False,
    strange: bool = False,
    distances_alone: bool = False,
    count: int | None = None,
) -> list[MetricValue]:
    """Every quality metric of uint8 images (n, C, H, W) against as many real ones.

    Of more than `count` images so many, evenly spread, are compared: folders lie sorted. All are looked through for
    copies of training images.

    `drawn` joins the protocol: how the images were made. `strange` says that the extractor wasn't trained on such data:
    what classes it sees there then means nothing and isn't measured, and the protocol says what it looked at.
    `distances_alone` leaves out all but FID and KID.

    Raises:
        ValueError: images of another size or channel count than the real ones, all the same, or too few.
    """
    dataset, shape = real.dataset, real.shape
    if tuple(images.shape[1:]) not in (shape, (3, *shape[1:])):
        given, wanted = ("×".join(map(str, size)) for size in (images.shape[1:], shape))
        raise ValueError(
            f"images of {given} can't be compared with {dataset.title} of {wanted}: resizing changes FID; "
            "--resize N does it to folders"
        )
    n = len(images) if count is None else count
    training = real_features(dataset, shape, real.value_range, extractor)
    if n > len(training):
        raise ValueError(f"{n} images can't be compared with {len(training)} of {dataset.title}: give as many or fewer")
    generated = features_of(images, extractor, "generated images")
    report_progress(_log, f"computing metrics of {n} images")
    compared = training.rows(linspace_indices(len(training), n))
    chosen = generated.rows(linspace_indices(len(images), n))
    classes = () if strange else extractor.classes
    if distances_alone:
        values = distances(chosen, compared)
    else:
        others = real.held_out
        held_out = None if others is None else real_features(others, shape, real.value_range, extractor)
        values = measure_quality(
            chosen, compared, training, classes, digits=real.digits, everything=generated, held_out=held_out
        )
    protocol = {**extractor.protocol(), "size": "×".join(map(str, shape)), "real": f"{n}, evenly spread", **drawn}
    if n < len(images):
        protocol[GENERATED] = f"{n} of {len(images)}, evenly spread"
    if strange:
        protocol[EXTRACTOR] += f", trained on {extractor.trained_on}, looks at {dataset.title}"
    if running:
        protocol[STATISTICS] = RUNNING
    return [replace(value, protocol={**protocol, **value.protocol}) for value in values]


def image_shape(card: Card) -> tuple[int, ...]:
    """(C, H, W) of a card's images, whatever their arrangement."""
    shape = card.data_shape
    if len(shape) == 3:
        return shape
    if len(shape) == 2:
        return (1, *shape)
    side = round(prod(shape) ** 0.5)
    return (1, side, side)
