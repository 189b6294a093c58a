"""Density and coverage where the answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.evaluation.neighbourhoods import NEIGHBOURS, density_coverage


def normal(n: int, dimension: int, seed: int) -> Tensor:
    return torch.randn(n, dimension, generator=torch.Generator().manual_seed(seed))


@given(st.integers(6, 60), st.integers(1, 300), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_set_against_itself_fills_every_neighbourhood_evenly(n: int, dimension: int, seed: int) -> None:
    """Each ball holds its own centre and the four that are nearer than the fifth."""
    same = normal(n, dimension, seed)
    density, coverage = density_coverage(same, same)
    assert density == pytest.approx(1, abs=1e-12)
    assert coverage == 1


def test_two_samples_of_one_distribution() -> None:
    """On average 1, and 1 − (1/2)^5 for as many samples as real ones."""
    found = [density_coverage(normal(1000, 8, 2 * seed), normal(1000, 8, 2 * seed + 1)) for seed in range(4)]
    densities, coverages = zip(*found, strict=True)
    assert sum(densities) / 4 == pytest.approx(1, abs=0.03)
    assert sum(coverages) / 4 == pytest.approx(1 - 0.5**NEIGHBOURS, abs=0.01)


@pytest.mark.slow
def test_the_published_answer_in_a_thousand_dimensions() -> None:
    """10,000 points each of N(0, I), of which one draw is published; six here gave 0.97 to 1.10 and 0.964 to 0.978."""
    density, coverage = density_coverage(normal(10_000, 1000, 0), normal(10_000, 1000, 1))
    assert density == pytest.approx(1.056, abs=0.15)
    assert coverage == pytest.approx(0.974, abs=0.015)


@given(st.integers(1, 40), st.integers(6, 40), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_both_are_what_counting_gives(n: int, m: int, dimension: int, seed: int) -> None:
    generated, real = normal(n, dimension, seed), normal(m, dimension, seed + 1)
    balls = [sorted(math.dist(a, b) for b in real.tolist())[NEIGHBOURS] for a in real.tolist()]
    inside = [
        [math.dist(a, g) < ball for g in generated.tolist()] for a, ball in zip(real.tolist(), balls, strict=True)
    ]
    density, coverage = density_coverage(generated, real)
    assert density == pytest.approx(sum(map(sum, inside)) / (NEIGHBOURS * n))
    assert coverage == pytest.approx(sum(map(any, inside)) / m)


def test_samples_elsewhere_fill_nothing() -> None:
    assert density_coverage(normal(50, 3, 0) + 100, normal(50, 3, 1)) == (0, 0)


def test_one_sample_again_and_again_is_dense_and_covers_hardly_anything() -> None:
    """The saboteur: a generator that has collapsed onto one real image."""
    real = normal(500, 2, 0)
    density, coverage = density_coverage(real[:1].repeat(500, 1), real)
    assert density >= 1 / NEIGHBOURS
    assert coverage == pytest.approx(density * NEIGHBOURS / 500)
    assert coverage < 0.05


def test_an_outlier_among_the_samples_changes_next_to_nothing() -> None:
    """Where one makes recall's ball reach everything."""
    real, generated = normal(300, 4, 0), normal(300, 4, 1)
    before = density_coverage(generated, real)
    after = density_coverage(torch.cat([generated[1:], torch.full((1, 4), 50.0)]), real)
    assert after == pytest.approx(before, abs=0.02)


@pytest.mark.parametrize(("generated", "real"), [(10, 5), (0, 10)])
def test_too_few_are_refused(generated: int, real: int) -> None:
    with pytest.raises(ValueError, match=f"need more than 5 real images and a sample, not {real} and {generated}"):
        density_coverage(normal(generated, 2, 0), normal(real, 2, 1))
