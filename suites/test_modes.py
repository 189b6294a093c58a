"""Mode coverage of points in the plane: first the measure itself, on the 3×3 grid, then every reference with modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from harness.data.grid import SIGMA, THE_GRID, mode_centres, modes_of
from harness.evaluation.mode_coverage import (
    NO_GOOD_SAMPLES,
    TRUE_HIGH_QUALITY,
    ModeCoverage,
    coverage_of,
    mode_coverage,
)
from harness.suite.session import Session
from harness.suite.subject import Subject
from reference import Modes

N = 10_000
CENTRES = mode_centres().double().numpy()


def record_coverage(record: Callable[..., None], found: ModeCoverage, n: int, modes: Modes = THE_GRID) -> None:
    for measured in found.values():
        if math.isnan(measured.value):
            record(measured.metric, None, n=n, status="skipped", reason=NO_GOOD_SAMPLES)
        else:
            record(measured.metric, measured.value, n=n)
    for measured in found.by_mode(modes, n):
        record(measured.metric, measured.value, n=n, protocol=dict(measured.protocol))


def calibrating(suite: Session, name: str, seed: int = 0) -> Callable[..., None]:
    return partial(suite.record, f"calibration: {name}", seed=seed, judged=False)


@pytest.mark.shipped
@pytest.mark.parametrize("seed_of_sampler", range(3))
def test_calibration_true_sampler(seed_of_sampler: int, suite: Session) -> None:
    random = np.random.default_rng(seed_of_sampler)
    samples = CENTRES[random.integers(9, size=N)] + SIGMA * random.standard_normal((N, 2))
    found = mode_coverage(samples, CENTRES, SIGMA)
    record_coverage(calibrating(suite, "true sampler", seed_of_sampler), found, N)
    assert (found.modes_hit, found.modes_with_mass) == (9, 9)
    assert found.high_quality == pytest.approx(TRUE_HIGH_QUALITY, abs=0.0035)
    assert found.reverse_kl < 0.005
    assert found.spread_ratio == pytest.approx(1, abs=0.03)


@pytest.mark.shipped
def test_calibration_one_mode(suite: Session) -> None:
    samples = CENTRES[4] + SIGMA * np.random.default_rng(0).standard_normal((N, 2))
    found = mode_coverage(samples, CENTRES, SIGMA)
    record_coverage(calibrating(suite, "one mode"), found, N)
    assert (found.modes_hit, found.modes_with_mass) == (1, 1)
    assert found.reverse_kl == pytest.approx(math.log(9))


@pytest.mark.shipped
def test_calibration_uniform_blob(suite: Session) -> None:
    samples = np.random.default_rng(0).uniform(-1.5, 1.5, (N, 2))
    found = mode_coverage(samples, CENTRES, SIGMA)
    record_coverage(calibrating(suite, "uniform blob"), found, N)
    assert found.modes_with_mass < 9, "a blob that touches nine modes hasn't learned them"
    assert found.high_quality < 0.15


@pytest.mark.references(having="modes")
def test_modes(subject: Subject, seed: int, suite: Session) -> None:
    run = subject.trained(seed)
    n = suite.profile.mode_samples
    samples = subject.sampler(run).draw(n).double().numpy()
    modes = modes_of(subject.card)
    assert modes is not None
    found = coverage_of(samples, modes)
    record_coverage(partial(subject.record_trained, run), found, n, modes)
    if not subject.why_unread:
        subject.keep("densities", f"{subject}, seed {seed}", samples)
    assert found.counts.sum() == round(found.high_quality * n)
