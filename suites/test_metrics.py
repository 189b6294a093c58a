"""The metrics themselves: closed forms, sets whose distance is known, and an order that must show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from harness.comparison.verdicts import compare
from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.data.mnist import Mnist, bundled_root
from harness.data.registry import mnist_root
from harness.evaluation import metrics
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.extractors.networks import COMBINED, CelebaNet
from harness.evaluation.extractors.training_data import Photographs
from harness.evaluation.features import Features, features_of
from harness.evaluation.memorisation import Cells, Reach, data_copying, distance_ratio, nearest
from harness.evaluation.neighbourhoods import density_coverage
from harness.records.metrics import (
    ATTRIBUTE,
    AUTHENTICITY,
    CLASS_COVERAGE,
    CLASS_KL,
    COPIES,
    COVERAGE,
    DATA_COPYING,
    DENSITY,
    EXPECTED,
    EXTRACTOR_ACCURACY,
    FID,
    FOUND_INCOMPARABLE,
    INCEPTION_SCORE,
    KID,
    MEASURED_ON,
    NN_DISTANCE_RATIO,
    PRECISION,
    RECALL,
    Metric,
)
from harness.records.record import Record
from harness.suite.session import Session

pytestmark = pytest.mark.shipped

LEAST_IMAGES, MAX_IMAGES = 160, 2000
LEAST_ACCURACY = {"mnistnet": 0.992, "celebanet": 0.88, "facesnet": 0.95}
DROPPED = [CelebaNet.READS.index(name) for name in ("Bangs", "Blond_Hair", "Smiling", "Wearing_Lipstick")]
LEAST_READ = {True: 0.95, False: 0.6}  # the share of kinds read correctly: ten digits, eight kinds of faces
SHARES = (0.0, 0.01, 0.1, 0.5)
COPIED = "training images"
PLANTED: dict[str, Callable[[Tensor], Tensor]] = {
    COPIED: lambda images: images,
    "training images with noise, σ 3 % of the range,": lambda images: noisy(images, 0.03),
}
LEAST_RISE = {True: 10, False: 3}  # how much farther blurred images are than others of the same kind: digits, faces


@dataclass(frozen=True)
class Known:
    """Images (n, C, H, W) of which much is known, `others` that aren't among them, and what looks at them.

    `kinds` (n,) are the classes of the others. `without(k)` are images that lack the first k kinds of `dropped`.
    """

    data: Dataset
    images: Tensor
    others: Tensor
    kinds: Tensor
    without: Callable[[int], Tensor]
    dropped: tuple[int, ...]
    pair: str
    extractor: Extractor
    digits: bool

    @property
    def n(self) -> int:
        """How many are compared."""
        return min(len(self.images), len(self.others))

    def features(self, images: Tensor) -> Features:
        return features_of(images, self.extractor)


def known_digits(session: Session, most: int) -> Known:
    extractor = load_extractor("mnistnet", session.device, session.root)
    found = mnist_root(session.root)
    if found:
        train, test = (Mnist(found, (1, 28, 28), (0.0, 1.0), split) for split in ("train", "test"))
        images, labels, others, unlike_labels = train.images, train.labels, test.images, test.labels
        data, pair = train, "test images against training images"
    else:
        data = Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0))
        half = len(data) // 2
        images, labels, others = data.images[:half], data.labels[:half], data.images[half:]
        unlike_labels = data.labels[half:]
        pair = "one half of the images against the other"
    n = min(most, len(others))

    def without(classes: int) -> Tensor:
        return images[torch.nonzero(labels >= classes).flatten()][:n]

    some, unlike, kinds = (of[linspace_indices(len(of), n)] for of in (images, others, unlike_labels))
    return Known(data, some, unlike, kinds, without, (2, 4, 6, 8), pair, extractor, digits=True)


def known_faces(session: Session, most: int) -> Known:
    """Photographs that `celebanet` was trained on, and others."""
    faces = Photographs.below(session.root)
    extractor = load_extractor("celebanet", session.device, session.root)

    def some(places: Tensor) -> Tensor:
        return faces.images(places[linspace_indices(len(places), most)])

    def without(attributes: int) -> Tensor:
        showing = faces.attributes[:, DROPPED[:attributes]].any(1)
        return some(faces.trained[~showing[faces.trained]])

    pair = "held-out faces against training faces"
    kinds = tuple(range(1, len(DROPPED) + 1))
    images, others = some(faces.trained), some(faces.held_out)
    shown = faces.attributes[faces.held_out[linspace_indices(len(faces.held_out), most)]].long()
    glasses, male, smiling = (shown[:, CelebaNet.READS.index(name)] for name in COMBINED)
    combined = 4 * glasses + 2 * male + smiling
    return Known(faces.data, images, others, combined, without, kinds, pair, extractor, digits=False)


@pytest.fixture(scope="module", params=["digits", "faces"])
def known(request: pytest.FixtureRequest, whole_session: Session) -> Known:
    most = min(max(whole_session.profile.quality_samples, LEAST_IMAGES), MAX_IMAGES)
    if request.param == "digits":
        return known_digits(whole_session, most)
    try:
        return known_faces(whole_session, most)
    except ValueError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def real(known: Known) -> Features:
    return known.features(known.images)


def record(
    suite: Session,
    case: str,
    metric: Metric,
    value: float,
    expected: str,
    known: Known | None = None,
    n: int = 0,
) -> None:
    protocol = {EXPECTED: expected} | (known.extractor.protocol() if known else {})
    suite.record(
        f"calibration: {case}",
        metric,
        value,
        n=n or None,
        protocol=protocol,
        judged=False,
        data=known.data if known else "",
    )


@pytest.mark.parametrize("name", LEAST_ACCURACY)
def test_extractors_read_well(name: str, suite: Session) -> None:
    extractor = load_extractor(name, suite.device, suite.root)
    accuracy = extractor.accuracy
    assert accuracy is not None
    suite.record(
        f"calibration: {name}",
        EXTRACTOR_ACCURACY,
        accuracy,
        protocol={EXPECTED: f"≥ {LEAST_ACCURACY[name]:g}", MEASURED_ON: "its held-out images"},
    )
    for attribute, share in extractor.accuracies.items():
        suite.record(
            f"calibration: {name}",
            EXTRACTOR_ACCURACY,
            share,
            protocol={EXPECTED: "stated", MEASURED_ON: "its held-out images", ATTRIBUTE: attribute},
        )
    assert accuracy >= LEAST_ACCURACY[name]


def test_kinds_are_read(suite: Session, known: Known) -> None:
    """What an extractor takes others for than it has learned from, by eye or by whoever labelled them."""
    read = known.features(known.others).logits.argmax(1)
    share = float((read == known.kinds).double().mean())
    record(suite, f"kinds of {known.pair.partition(' against')[0]}", EXTRACTOR_ACCURACY, share, "read", known, known.n)
    assert share >= LEAST_READ[known.digits]


def test_closed_forms(suite: Session) -> None:
    features = torch.randn(5000, 64, generator=torch.Generator().manual_seed(0)).double()
    shift = torch.full((64,), 0.25, dtype=torch.float64)
    moved = metrics.frechet_distance(features + shift, features)
    record(suite, "a Gaussian shifted by a vector of length 2", FID, moved, "4")
    wider = metrics.frechet_distance(1.5 * features, features)
    exact = 0.25 * float(features.var(0).sum() + (features.mean(0) ** 2).sum())
    record(suite, "a Gaussian one and a half times as wide", FID, wider, f"{exact:.4g}")
    even, one = 100 * torch.eye(10).repeat(1000, 1), 100 * torch.eye(10)[:1].repeat(10_000, 1)
    scores = metrics.inception_score(even), metrics.inception_score(one)
    record(suite, "ten classes, evenly", INCEPTION_SCORE, scores[0], "10")
    record(suite, "one class", INCEPTION_SCORE, scores[1], "1")
    covered = metrics.class_coverage(one)
    record(suite, "one class", CLASS_KL, covered.divergence, f"ln 10 = {math.log(10):.4g}")
    assert moved == pytest.approx(4, rel=1e-6)
    assert wider == pytest.approx(exact, rel=1e-6)
    assert scores[0] == pytest.approx(10, rel=0.02)
    assert scores[1] == pytest.approx(1)
    assert covered.covered == 1
    assert covered.divergence == pytest.approx(math.log(10))


def test_identical_sets(suite: Session, known: Known, real: Features) -> None:
    distance = metrics.frechet_distance(real.features, real.features)
    precision, recall = metrics.precision_recall(real.features, real.features)
    ratio = distance_ratio(nearest(real.features, real.features), real.features)
    density, coverage = density_coverage(real.features, real.features)
    found = {FID: (distance, "0"), PRECISION: (precision, "1"), RECALL: (recall, "1"), NN_DISTANCE_RATIO: (ratio, "0")}
    found |= {DENSITY: (density, "1"), COVERAGE: (coverage, "1")}
    for metric, (value, expected) in found.items():
        record(suite, "training images against themselves", metric, value, expected, known, len(real))
    assert abs(distance) < 1e-3
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(1, abs=0.01)  # images that are there twice lie on each other's balls
    assert ratio < 0.05


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_copies(kind: str, suite: Session, known: Known, real: Features) -> None:
    """Training images among others of the same kind, more and more of them: what each measure of memorisation sees."""
    others = known.features(known.others)
    half = len(others) // 2
    new, held_out = others.features[:half], others.features[half:]
    close = known.features(PLANTED[kind](known.images)).features
    cells, held_out_near = Cells.of(real.features), nearest(held_out, real.features)
    copies, authentic, scores = [], [], []
    for share in SHARES:
        count = round(share * half)
        mixed = torch.cat([close[linspace_indices(len(close), count)], new[count:]])
        near = nearest(mixed, real.features)
        reach = Reach.of(near, real.features)
        score = data_copying(mixed, held_out, near, held_out_near, cells)
        copies.append(reach.copies)
        authentic.append(reach.authentic)
        case = f"{share:.0%} {kind} among {known.pair.partition(' against')[0]}"
        record(suite, case, COPIES, reach.copies, f"about {share:g}", known, half)
        record(suite, case, AUTHENTICITY, reach.authentic, "the less, the more of them", known, half)
        if score is not None:  # of few images no cell has enough
            scores.append(score)
            record(suite, case, DATA_COPYING, score, "the less, the more of them", known, half)
    assert copies[0] < 0.02
    seen = [found - copies[0] for found in copies]
    if kind == COPIED:
        assert seen == pytest.approx(SHARES, abs=0.02)
    assert sorted(copies) == copies
    assert copies[-1] > 0.3
    assert authentic[-1] < 0.7 * authentic[0]
    assert not scores or scores[-1] < scores[0]


def test_floor(suite: Session, known: Known, real: Features) -> None:
    unseen = known.features(known.others)
    found = metrics.measure_quality(unseen, real, None, known.extractor.classes, digits=known.digits)
    values = {value.metric: value.value for value in found}
    for metric in (FID, KID, INCEPTION_SCORE, PRECISION, RECALL, DENSITY, COVERAGE, CLASS_COVERAGE, CLASS_KL):
        record(suite, known.pair, metric, values[metric], "the floor", known, len(real))
    soft = known.features(blurred(known.others, 7, 2.0))
    assert 0 <= values[FID] < metrics.frechet_distance(soft.features, real.features) / LEAST_RISE[known.digits]
    if known.digits:  # of faces some kinds are rare: few women wear glasses
        assert values[CLASS_COVERAGE] == 10


def blurred(images: Tensor, size: int, strength: float) -> Tensor:
    from torchvision.transforms.functional import gaussian_blur  # brings TorchDynamo: two seconds

    made: Tensor = gaussian_blur(images, [size, size], [strength, strength])
    return made


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images / 255 + strength * noise).clamp(0, 1).mul(255).round().byte()


DEGRADATIONS: dict[str, Callable[[Known], Iterable[tuple[float, Tensor]]]] = {
    "blurred, σ in pixels": lambda known: (
        (strength, blurred(known.images, 13, strength)) for strength in (0.5, 1.0, 1.5, 2.0)
    ),
    "noise added, σ of the range": lambda known: (
        (strength, noisy(known.images, strength)) for strength in (0.1, 0.2, 0.3, 0.4)
    ),
    "kinds dropped": lambda known: ((count, known.without(count)) for count in known.dropped),
}


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_rises_with_strength(kind: str, suite: Session, known: Known, real: Features) -> None:
    distances = []
    for strength, images in DEGRADATIONS[kind](known):
        worse = known.features(images)
        distances.append(metrics.frechet_distance(worse.features, real.features))
        expected = "above the one before" if len(distances) > 1 else "above 0"
        record(suite, f"{kind}: {strength:g}", FID, distances[-1], expected, known, len(worse))
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_another_resize_is_not_comparable(suite: Session, known: Known) -> None:
    entry = Record(
        "quality",
        "a",
        FID.name,
        1.0,
        "",
        "lower",
        "measured",
        "smoke",
        "MNIST",
        "",
        "",
        headline=True,
        protocol=known.extractor.protocol(),
    )
    other = replace(entry, protocol={**entry.protocol, "resize": "to another size, nearest"})
    (found,) = compare([entry] * 3, [other] * 3)
    record(
        suite,
        "the same images through another resize",
        FOUND_INCOMPARABLE,
        float(found.verdict == "not comparable"),
        "1",
    )
    assert found.verdict == "not comparable"
    assert "resize" in found.reason
