"""Parity with torch-fidelity called by hand on picture files, and with closed forms computed here in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from scipy.linalg import sqrtm
from torch import Tensor

import harness.evaluation.extractors.registered  # noqa: F401 for torch-fidelity's registry
from harness.data.mnist import Mnist, bundled_root
from harness.evaluation import metrics
from harness.evaluation.extractors.extractor import Extractor, load_extractor, weights_path
from harness.evaluation.features import Features, features_of
from harness.evaluation.images import read_images, write_images

N = 300


@pytest.fixture(scope="module")
def mnistnet() -> Extractor:
    return load_extractor("mnistnet", torch.device("cpu"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Digits with noise, and other digits, as PNG files."""
    data = Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0)).images
    noise = torch.randint(0, 90, data[:N].shape, generator=torch.Generator().manual_seed(0))
    made = (data[:N].int() + noise).clamp(0, 255).byte()
    at = tmp_path_factory.mktemp("pictures")
    write_images(at / "made", made)
    write_images(at / "real", data[N : 2 * N])
    return at / "made", at / "real"


@pytest.fixture(scope="module")
def both(folders: tuple[Path, Path], mnistnet: Extractor) -> tuple[Features, Features]:
    made, real = (features_of(read_images(folder), mnistnet) for folder in folders)
    return made, real


def test_every_metric_is_torch_fidelitys_by_hand(
    folders: tuple[Path, Path], both: tuple[Features, Features], mnistnet: Extractor
) -> None:
    by_hand = torch_fidelity.calculate_metrics(
        input1=str(folders[0]),
        input2=str(folders[1]),
        cuda=False,
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="mnistnet",
        feature_extractor_weights_path=str(weights_path("mnistnet")),
        kid_subset_size=metrics.kid_subset_size(N),
        cache=False,
        verbose=False,
        save_cpu_ram=True,
    )
    ours = {
        value.metric.name: value.value for value in metrics.measure_quality(*both, None, mnistnet.classes, digits=True)
    }
    for name, theirs in {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "inception_score": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }.items():
        assert ours[name] == pytest.approx(by_hand[theirs], rel=1e-6), name
    assert ours["fid"] > 1
    assert 0 < ours["precision"] < 1


def float64_fid(made: np.ndarray, real: np.ndarray) -> float:
    covariances = np.cov(made, rowvar=False), np.cov(real, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    return float(((made.mean(0) - real.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root))


def float64_precision_recall(made: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.linalg.norm(one[:, None] - other[None], axis=2)
        return found

    def covered(points: np.ndarray, by: np.ndarray) -> float:
        reach = np.sort(distances(by, by), axis=1)[:, 3]  # the first is the point itself
        return float((distances(points, by) <= reach).any(1).mean())

    return covered(made, real), covered(real, made)


def float64_kid(made: np.ndarray, real: np.ndarray) -> float:
    size, random, found = metrics.kid_subset_size(N), np.random.RandomState(2020), []
    for _ in range(100):
        x, y = made[random.choice(N, size, replace=False)], real[random.choice(N, size, replace=False)]
        xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        pairs = size * (size - 1)
        found.append((xx.sum() - np.trace(xx)) / pairs + (yy.sum() - np.trace(yy)) / pairs - 2 * xy.mean())
    return float(np.mean(found))


def float64_is(logits: np.ndarray) -> float:
    shuffled = logits[np.random.RandomState(2020).permutation(N)]
    shares = np.exp(shuffled - shuffled.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    parts = [shares[i * N // 10 : (i + 1) * N // 10] for i in range(10)]
    return float(np.mean([np.exp((p * np.log(p / p.mean(0))).sum(1).mean()) for p in parts]))


def test_agrees_with_float64_from_the_features(both: tuple[Features, Features]) -> None:
    made, real = (part.features.double().numpy() for part in both)
    assert metrics.frechet_distance(both[0].features, both[1].features) == pytest.approx(
        float64_fid(made, real), rel=1e-5
    )
    assert metrics.kernel_distance(both[0].features, both[1].features) == pytest.approx(
        float64_kid(made, real), rel=1e-5
    )
    assert metrics.inception_score(both[0].logits) == pytest.approx(
        float64_is(both[0].logits.double().numpy()), rel=1e-6
    )
    assert metrics.precision_recall(both[0].features, both[1].features) == pytest.approx(
        float64_precision_recall(made, real)
    )


def biased_kid(made: Tensor, real: Tensor) -> float:
    """What a careless KID computes: with the diagonal."""
    xx, yy, xy = (((a @ b.T) / a.shape[1] + 1) ** 3 for a, b in ((made, made), (real, real), (made, real)))
    return float(xx.mean() + yy.mean() - 2 * xy.mean())


def test_a_wrong_kid_would_be_noticed(both: tuple[Features, Features]) -> None:
    made, real = (part.features for part in both)
    expected = float64_kid(made.double().numpy(), real.double().numpy())
    assert biased_kid(made, real) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n", [2, 63, 64])
def test_fid_refuses_as_many_samples_as_dimensions(n: int) -> None:
    features = torch.randn(200, 64)
    with pytest.raises(ValueError, match=rf"more samples than .* \(64\): {n} generated"):
        metrics.frechet_distance(features[:n], features)
    with pytest.raises(ValueError, match=f"{n} real"):
        metrics.frechet_distance(features, features[:n])


def test_extrapolation_takes_away_the_bias_of_few_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    real, made = (torch.randn(n, 16, generator=generator).double() for n in (20_000, 400))
    plain = metrics.frechet_distance(made, real)
    assert abs(metrics.extrapolated_frechet_distance(made, real)) < plain / 3
    with pytest.raises(ValueError, match="needs 32 samples or more, not 20"):
        metrics.extrapolated_frechet_distance(made[:20], real)


@pytest.mark.parametrize(
    ("classes", "covered", "divergence"), [([0], 1, np.log(4)), ([0, 1], 2, np.log(2)), ([0, 1, 2, 3], 4, 0.0)]
)
def test_class_coverage_closed_forms(classes: list[int], covered: int, divergence: float) -> None:
    logits = torch.eye(4)[classes].repeat(60 // len(classes), 1)
    found = metrics.class_coverage(logits)
    assert found.covered == covered
    assert found.divergence == pytest.approx(divergence, abs=1e-12)
    assert found.shares.sum() == pytest.approx(1)


def test_a_class_with_less_than_a_tenth_of_an_even_share_is_missing() -> None:
    logits = torch.eye(2)[[0] * 96 + [1] * 4]
    assert metrics.class_coverage(logits).covered == 1


@pytest.mark.slow
def test_the_published_answer_in_a_thousand_dimensions() -> None:
    """10,000 points of N(0, I) against as many others, with five neighbours, as Naeem et al. 2020 publish one draw.

    Another draw moves either by a hundredth.
    """
    one, other = (torch.randn(10_000, 1000, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    precision, recall = metrics.precision_recall(one, other, neighbours=5)
    assert precision == pytest.approx(0.477, abs=0.03)
    assert recall == pytest.approx(0.471, abs=0.03)


def test_precision_sees_what_is_made_and_recall_what_is_lacking() -> None:
    """Half of the real kinds, made well; and all of them with as much rubbish: one falls where the other doesn't."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.cat([torch.randn(300, 4, generator=generator), 40 + torch.randn(300, 4, generator=generator)])
    again = torch.cat([torch.randn(300, 4, generator=generator), 40 + torch.randn(300, 4, generator=generator)])
    rubbish = -80 + torch.randn(600, 4, generator=generator)
    half = metrics.precision_recall(again[:300].repeat(2, 1) + 1e-3 * torch.randn(600, 4, generator=generator), kinds)
    both = metrics.precision_recall(torch.cat([again, rubbish]), kinds)
    assert half[0] > 0.9
    assert half[1] < 0.55
    assert both[0] == pytest.approx(0.5, abs=0.05)
    assert both[1] > 0.9


@pytest.mark.parametrize("size", [3, 2])
def test_too_few_for_precision(size: int) -> None:
    features = torch.randn(10, 4)
    with pytest.raises(ValueError, match="more than 3 samples"):
        metrics.precision_recall(features[:size], features)


def test_the_metrics_are_functions_of_features_alone(both: tuple[Features, Features]) -> None:
    measures: list[Callable[[Tensor, Tensor], object]] = [
        metrics.frechet_distance,
        metrics.kernel_distance,
        metrics.precision_recall,
    ]
    state = torch.random.get_rng_state()
    for metric in measures:
        assert metric(both[0].features, both[1].features) == metric(both[0].features, both[1].features)
    assert torch.equal(torch.random.get_rng_state(), state)
