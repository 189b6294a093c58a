from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latents import metrics

RANDOM = np.random.default_rng(0)


@given(st.integers(2, 30))
def test_a_straight_way_in_equal_steps_has_one_over_its_steps(points: int) -> None:
    a, b = np.zeros(5), np.ones(5)
    path = np.linspace(a, b, points)[None]
    assert metrics.largest_step(path, np.stack([a, b])) == pytest.approx(1 / (points - 1))


def test_a_jump_is_the_whole_distance() -> None:
    path = np.repeat([[0.0], [1.0]], 5, axis=0)[None]
    assert metrics.largest_step(path, np.array([[0.0], [1.0]])) == 1
    assert math.isnan(metrics.largest_step(path, np.zeros((2, 1)))), "all alike: there is no unit"
    with pytest.raises(ValueError, match="two points or more"):
        metrics.largest_step(path[:, :1], np.zeros((2, 1)))


def test_mean_distance_of_normal_points_is_known() -> None:
    points = RANDOM.normal(size=(4000, 200))
    assert metrics.mean_distance(points) == pytest.approx(math.sqrt(2 * 200), rel=0.01)


def test_what_comes_back_is_nearer_to_its_own() -> None:
    own = RANDOM.normal(size=(300, 64))
    assert metrics.nearer_to_own(own, own) == 1
    assert metrics.nearer_to_own(np.zeros_like(own), own) == pytest.approx(0.5)
    assert metrics.nearer_to_own(np.roll(own, 1, axis=0), own) == pytest.approx(0.5, abs=0.05)
    assert metrics.nearer_to_own(RANDOM.normal(size=own.shape), own) == pytest.approx(0.5, abs=0.03)
    assert metrics.nearer_to_own(np.zeros_like(own), np.ones_like(own)) == 0.5, "ties count half"
    with pytest.raises(ValueError, match="one shape"):
        metrics.nearer_to_own(own, own[:-1])


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_a_bars_stroke_is_its_width(width: int) -> None:
    image = np.zeros((1, 200, 40))
    image[0, 5:195, 16 : 16 + width] = 1
    assert metrics.stroke_widths(image)[0] == pytest.approx(width, rel=0.06)


def test_a_blank_image_has_no_stroke_and_no_slant() -> None:
    assert np.isnan(metrics.stroke_widths(np.zeros((1, 8, 8)))).all()
    assert np.isnan(metrics.slants(np.zeros((1, 8, 8)))).all()


@pytest.mark.parametrize("shear", [-0.5, 0.0, 0.3, 1.0])
def test_a_sheared_bar_has_its_shear(shear: float) -> None:
    image = np.zeros((1, 61, 161))
    for row in range(61):  # row 0 is the top: to the right per row upwards
        image[0, row, 80 + round(shear * (30 - row))] = 1
    assert metrics.slants(image)[0] == pytest.approx(shear, abs=0.02)


def test_shared_by_row_is_the_intraclass_correlation() -> None:
    rows = RANDOM.normal(size=(4000, 1))
    noise = RANDOM.normal(size=(4000, 10))
    classes = np.arange(10.0) * 100  # each class's own mean plays no part
    assert metrics.shared_by_row(noise + classes) == pytest.approx(0, abs=0.01)
    assert metrics.shared_by_row(rows + noise + classes) == pytest.approx(0.5, abs=0.02)
    assert metrics.shared_by_row(rows + 0 * noise + classes) == pytest.approx(1)
    broken = rows + noise + classes
    broken[7, 3] = np.nan
    assert metrics.shared_by_row(broken) == pytest.approx(0.5, abs=0.02)
    assert math.isnan(metrics.shared_by_row(np.ones((3, 4))))
    with pytest.raises(ValueError, match="two rows"):
        metrics.shared_by_row(np.full((5, 5), np.nan))


def test_filling_with_the_mean_is_the_unit_of_inpainting() -> None:
    real = RANDOM.random((50, 1, 12, 12))
    holes = np.zeros((50, 1, 12, 12), bool)
    holes[:, :, 3:8, 2:7] = True
    seen = np.where(holes, np.nan, real).reshape(50, -1)
    mean_fill = np.where(holes, np.nanmean(seen, axis=1).reshape(50, 1, 1, 1), real)
    assert metrics.error_over_mean_fill(mean_fill, real, holes) == pytest.approx(1)
    assert metrics.error_over_mean_fill(real, real, holes) == 0
    assert metrics.error_over_mean_fill(np.zeros_like(real), real, holes) > 1
    elsewhere = np.where(holes, real, 99)
    assert metrics.error_over_mean_fill(elsewhere, real, holes) == 0, "only erased pixels count"


def test_spread_over_draws_is_the_standard_deviation() -> None:
    draws = RANDOM.normal(scale=3.0, size=(2000, 4, 5))
    assert metrics.spread_over_draws(draws) == pytest.approx(3, rel=0.02)
    assert metrics.spread_over_draws(np.ones((5, 4, 5))) == 0
    where = np.zeros((4, 5), bool)
    where[1, 1] = True
    assert metrics.spread_over_draws(draws, where) == pytest.approx(draws[:, 1, 1].std())


def test_an_error_ratio_of_nothing_learned_is_one() -> None:
    meant = RANDOM.random((400, 30))
    assert metrics.error_ratio(meant, meant) == 0
    assert metrics.error_ratio(RANDOM.random((400, 30)), meant) == pytest.approx(1, abs=0.02)
    with pytest.raises(ValueError, match="two pictures or more"):
        metrics.error_ratio(meant[:1], meant[:1])
