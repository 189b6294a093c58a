"""Steps where they were put, none where there is none, and how often that errs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison.change_points import ChangePoint, change_points


def noise(groups: int, each: int, seed: int, steps: dict[int, float] | None = None) -> list[list[float]]:
    random = np.random.default_rng(seed)
    levels = [sum(height for place, height in (steps or {}).items() if number >= place) for number in range(groups)]
    return [list(level + random.standard_normal(each)) for level in levels]


def test_a_step_is_found_where_it_is() -> None:
    (found,) = change_points(noise(12, 5, 0, {7: 4.0}))
    assert found.place == 7
    assert found.before == pytest.approx(0, abs=0.6)
    assert found.after == pytest.approx(4, abs=0.6)
    assert found.p <= 0.01


def test_several_steps_are_found_in_their_order() -> None:
    found = change_points(noise(20, 5, 1, {5: 4.0, 11: -6.0, 16: 3.0}))
    assert [step.place for step in found] == [5, 11, 16]
    assert [step.after > step.before for step in found] == [True, False, True]


def test_noise_has_a_step_as_rarely_as_said() -> None:
    false = sum(bool(change_points(noise(8, 3, seed), alpha=0.05)) for seed in range(200))
    assert false <= 20, "5 % of 200 are 10"


def test_most_steps_of_three_deviations_are_noticed() -> None:
    noticed = sum([step.place for step in change_points(noise(8, 3, seed, {4: 3.0}))] == [4] for seed in range(50))
    assert noticed >= 40


@given(st.integers(1, 6), st.integers(1, 4), st.floats(-1e6, 1e6))
@settings(max_examples=20, deadline=None)
def test_what_never_changes_has_no_step(groups: int, each: int, value: float) -> None:
    assert change_points([[value] * each] * groups) == []


def test_two_values_can_tell_nothing_and_five_against_five_do() -> None:
    assert change_points([[0.0], [100.0]]) == []
    assert change_points([[0.0, 0.1, 0.2, 0.3, 0.4], [9.0, 9.1, 9.2, 9.3, 9.4]])[0].place == 1


@pytest.mark.parametrize("groups", [[[]], [[1.0], [float("nan")]]])
def test_groups_hold_finite_values(groups: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="need groups of finite values"):
        change_points(groups)


def test_alpha_is_a_chance() -> None:
    with pytest.raises(ValueError, match="α must lie between 0 and 1, not 1"):
        change_points([[1.0]], alpha=1)
    assert isinstance(ChangePoint(1, 0.0, 1.0, 0.01), ChangePoint)
