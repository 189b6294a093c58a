from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evaluation.mode_coverage import TRUE_HIGH_QUALITY, mode_coverage

CENTRES = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)], np.float64)
SIGMA = 0.05


def test_the_true_sampler_scores_what_the_formulas_say() -> None:
    random = np.random.default_rng(0)
    samples = CENTRES[random.integers(9, size=90_000)] + SIGMA * random.standard_normal((90_000, 2))
    found = mode_coverage(samples, CENTRES, SIGMA)
    assert (found.modes_hit, found.modes_with_mass) == (9, 9)
    assert found.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.0015)
    assert pytest.approx(0.98889, abs=1e-5) == TRUE_HIGH_QUALITY
    assert found.spreads == pytest.approx(np.ones(9), abs=0.03)


@given(st.integers(1, 9), st.integers(1, 50))
def test_k_equal_modes(k: int, each: int) -> None:
    found = mode_coverage(np.repeat(CENTRES[:k], each, axis=0), CENTRES, SIGMA)
    assert found.modes_hit == found.modes_with_mass == k
    assert found.high_quality == 1
    assert found.reverse_kl == pytest.approx(math.log(9 / k))
    assert found.spread_ratio == pytest.approx(0, abs=1e-12) or each == 1


def test_the_circle_of_three_sigma_is_the_border() -> None:
    at = CENTRES[4] + np.array([[2.99 * SIGMA, 0], [0, 3.01 * SIGMA]])
    found = mode_coverage(at, CENTRES, SIGMA)
    assert found.high_quality == 0.5
    assert found.counts.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_a_mode_has_mass_from_a_tenth_of_its_share_on() -> None:
    light = np.concatenate([np.repeat(CENTRES[:1], 891, axis=0), np.repeat(CENTRES[1:2], 9, axis=0)])
    assert mode_coverage(light, CENTRES, SIGMA).modes_with_mass == 1
    enough = np.concatenate([np.repeat(CENTRES[:1], 890, axis=0), np.repeat(CENTRES[1:2], 10, axis=0)])
    assert mode_coverage(enough, CENTRES, SIGMA).modes_with_mass == 2


def test_samples_far_from_everything_give_no_numbers_that_mean_nothing() -> None:
    found = mode_coverage(np.full((10, 2), 50.0), CENTRES, SIGMA)
    assert (found.modes_hit, found.modes_with_mass, found.high_quality) == (0, 0, 0)
    assert math.isnan(found.reverse_kl)
    assert math.isnan(found.spread_ratio)


def test_a_blob_touches_nine_modes_and_has_none() -> None:
    found = mode_coverage(np.random.default_rng(0).uniform(-1.5, 1.5, (10_000, 2)), CENTRES, SIGMA)
    assert found.modes_hit == 9
    assert found.modes_with_mass == 0


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((0, 2)), "n ≥ 1"),
        (np.zeros((5, 3)), r"\(n, 2\)"),
        (np.full((5, 2), np.nan), "finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mode_coverage(samples, CENTRES, SIGMA)
    with pytest.raises(ValueError, match="sigma must be positive"):
        mode_coverage(np.zeros((5, 2)), CENTRES, 0)


def test_a_narrow_cluster_beside_its_centre_is_narrow() -> None:
    off_centre = CENTRES[4] + np.array([0.1, 0]) + 0.01 * np.random.default_rng(0).standard_normal((2000, 2))
    assert mode_coverage(off_centre, CENTRES, SIGMA).spread_ratio == pytest.approx(0.2 / 0.9744, rel=0.05)
