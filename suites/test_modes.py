"""Mode coverage of points in the plane: first the measure itself, on the 3×3 grid, then every reference with modes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from harness.data.mixtures import MIXTURES, THE_GRID
from harness.evaluation.mode_counters import mode_counter, samples_to_count
from harness.evaluation.mode_coverage import (
    NO_GOOD_SAMPLES,
    TRUE_HIGH_QUALITY,
    ModeCoverage,
    mode_coverage,
)
from harness.records.metrics import BEST, HIGH_QUALITY, MODE_SHARE, MODES_CAPTURED, MetricValue
from harness.suite.session import Session
from harness.suite.subject import Subject
from reference import Modes

N = 10_000
SIGMA = THE_GRID.deviation
CENTRES = np.array(THE_GRID.centres)


def record_values(record: Callable[..., None], values: Sequence[MetricValue], n: int) -> None:
    for measured in values:
        if math.isnan(measured.value):
            record(measured.metric, None, n=n, status="skipped", reason=NO_GOOD_SAMPLES)
        else:
            record(measured.metric, measured.value, n=n, protocol=dict(measured.protocol))


def record_coverage(record: Callable[..., None], found: ModeCoverage, n: int, modes: Modes = THE_GRID) -> None:
    record_values(record, [*found.values(), *found.by_mode(modes, n)], n)


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


@pytest.mark.shipped
@pytest.mark.parametrize("name", [name for name in MIXTURES if name != "gaussian-grid"])
def test_calibration_of_what_others_count_on(name: str, suite: Session) -> None:
    """What the true distribution has in as many samples as the field counts: no more can be asked for."""
    modes, n = MIXTURES[name].modes, MIXTURES[name].counted
    assert n is not None
    random, centres = np.random.default_rng(0), np.array(modes.centres)
    samples = centres[random.integers(len(centres), size=n)] + modes.deviation * random.standard_normal((n, 2))
    found = mode_coverage(samples, centres, modes.deviation)
    record_coverage(calibrating(suite, f"true sampler, {MIXTURES[name].title}"), found, n, modes)
    assert found.modes_hit == len(centres)
    assert found.high_quality == pytest.approx(TRUE_HIGH_QUALITY, abs=0.007)
    assert found.reverse_kl < 0.01


@pytest.mark.references(having="modes")
def test_modes(subject: Subject, seed: int, suite: Session) -> None:
    run = subject.trained(seed)
    counter = mode_counter(subject.card, run.dataset, suite.device, suite.root, suite.profile.mode_samples)
    samples = samples_to_count(subject.sampler(run), counter.counted, run.dataset)
    values = counter.count(samples)
    record_values(partial(subject.record_trained, run), values, len(samples))
    if best := subject.best(run):
        kept = counter.count(samples_to_count(subject.sampler(best), counter.counted, run.dataset))
        at_best = [value.at(BEST, best.steps / best.steps_per_epoch) for value in kept]
        record_values(partial(subject.record_trained, best), at_best, len(samples))
    if not subject.why_unread and samples.dim() == 2:
        subject.keep("densities", f"{subject}, seed {seed}", samples.double().numpy())
    (hit,) = [found.value for found in values if found.metric is MODES_CAPTURED]
    assert 0 <= hit <= counter.modes
    shares = [found.value for found in values if found.metric is MODE_SHARE]
    good = sum(found.value for found in values if found.metric is HIGH_QUALITY)
    assert sum(shares) == pytest.approx(good), "every sample of high quality lies in one mode"
