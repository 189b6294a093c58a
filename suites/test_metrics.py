"""The metrics themselves: closed forms, sets whose distance is known, and an order that must show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from harness.comparison.verdicts import compare
from harness.data.dataset import linspace_indices
from harness.data.mnist import Mnist, bundled_root
from harness.data.registry import mnist_root
from harness.evaluation import metrics
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.features import Features, features_of
from harness.records.metrics import (
    CLASS_COVERAGE,
    CLASS_KL,
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

MAX_IMAGES = 2000
LEAST_ACCURACY = {"mnistnet": 0.992, "facesnet": 0.95}


@dataclass(frozen=True)
class Digits:
    """Images (n, 1, 28, 28) with their digits, `others` that aren't among them, and what looks at them."""

    data: Mnist
    images: Tensor
    labels: Tensor
    others: Tensor
    pair: str
    extractor: Extractor
    n: int

    def features(self, images: Tensor) -> Features:
        return features_of(images, self.extractor)


@pytest.fixture(scope="module")
def digits(whole_session: Session) -> Digits:
    session = whole_session
    extractor = load_extractor("mnistnet", session.device, session.root)
    most = min(session.profile.quality_samples, MAX_IMAGES)
    found = mnist_root(session.root)
    if found:
        train, test = (Mnist(found, (1, 28, 28), (0.0, 1.0), split) for split in ("train", "test"))
        pair = "test images against training images"
        return Digits(train, train.images, train.labels, test.images, pair, extractor, min(most, len(test)))
    part = Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0))
    half = len(part) // 2
    images, labels, others = part.images[:half], part.labels[:half], part.images[half:]
    pair = "one half of the images against the other"
    return Digits(part, images, labels, others, pair, extractor, min(most, len(others)))


@pytest.fixture(scope="module")
def real(digits: Digits) -> Features:
    return digits.features(digits.images[linspace_indices(len(digits.images), digits.n)])


def record(
    suite: Session,
    case: str,
    metric: Metric,
    value: float,
    expected: str,
    digits: Digits | None = None,
    n: int = 0,
) -> None:
    protocol = {EXPECTED: expected} | (digits.extractor.protocol() if digits else {})
    suite.record(
        f"calibration: {case}",
        metric,
        value,
        n=n or None,
        protocol=protocol,
        judged=False,
        data=digits.data if digits else "",
    )


@pytest.mark.parametrize("name", LEAST_ACCURACY)
def test_extractors_read_well(name: str, suite: Session) -> None:
    accuracy = load_extractor(name, suite.device, suite.root).accuracy
    assert accuracy is not None
    suite.record(
        f"calibration: {name}",
        EXTRACTOR_ACCURACY,
        accuracy,
        protocol={EXPECTED: f"≥ {LEAST_ACCURACY[name]:g}", MEASURED_ON: "its held-out images"},
    )
    assert accuracy >= LEAST_ACCURACY[name]


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


def test_identical_sets(suite: Session, digits: Digits, real: Features) -> None:
    distance = metrics.frechet_distance(real.features, real.features)
    precision, recall = metrics.precision_recall(real.features, real.features)
    ratio = metrics.nn_distance_ratio(real.features, real.features)
    found = {FID: (distance, "0"), PRECISION: (precision, "1"), RECALL: (recall, "1"), NN_DISTANCE_RATIO: (ratio, "0")}
    for metric, (value, expected) in found.items():
        record(suite, "training images against themselves", metric, value, expected, digits, len(real))
    assert abs(distance) < 1e-3
    assert (precision, recall) == (1, 1)
    assert ratio < 0.05


def test_floor(suite: Session, digits: Digits, real: Features) -> None:
    others = digits.others[linspace_indices(len(digits.others), digits.n)]
    test = digits.features(others)
    values = {
        value.metric: value.value
        for value in metrics.measure_quality(test, real, None, digits.extractor.classes, digits=True)
    }
    for metric in (FID, KID, INCEPTION_SCORE, PRECISION, RECALL, CLASS_COVERAGE, CLASS_KL):
        record(suite, digits.pair, metric, values[metric], "the floor", digits, len(real))
    blurred = digits.features(gaussian_blur(others, [7, 7], [2.0, 2.0]))
    assert 0 <= values[FID] < metrics.frechet_distance(blurred.features, real.features) / 10
    assert values[CLASS_COVERAGE] == 10


def noisy(images: Tensor, strength: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images / 255 + strength * noise).clamp(0, 1).mul(255).round().byte()


DEGRADATIONS: dict[str, tuple[tuple[float, ...], Callable[[Digits, float], Tensor]]] = {
    "blurred, σ in pixels": (
        (0.5, 1.0, 1.5, 2.0),
        lambda d, s: gaussian_blur(d.images[linspace_indices(len(d.images), d.n)], [13, 13], [s, s]),
    ),
    "noise added, σ of the range": (
        (0.1, 0.2, 0.3, 0.4),
        lambda d, s: noisy(d.images[linspace_indices(len(d.images), d.n)], s),
    ),
    "classes dropped": (
        (2, 4, 6, 8),
        lambda d, s: d.images[torch.nonzero(d.labels >= s).flatten()][: d.n],
    ),
}


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_rises_with_strength(kind: str, suite: Session, digits: Digits, real: Features) -> None:
    strengths, made = DEGRADATIONS[kind]
    distances = []
    for strength in strengths:
        worse = digits.features(made(digits, strength))
        distances.append(metrics.frechet_distance(worse.features, real.features))
        expected = "above the one before" if len(distances) > 1 else "above 0"
        record(suite, f"{kind}: {strength:g}", FID, distances[-1], expected, digits, len(worse))
    assert distances == sorted(distances)
    assert distances[0] > 0


def test_another_resize_is_not_comparable(suite: Session, digits: Digits) -> None:
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
        protocol=digits.extractor.protocol(),
    )
    other = replace(entry, protocol={**entry.protocol, "resize": "to 28×28, nearest"})
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
