from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison.permutation import (
    MAX_DEALS,
    Permutation,
    holm,
    paired_test,
    permutation_test,
    smallest_p,
)
from harness.records.arrays import Floats


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_pairs_by_hand_and_their_interval_is_what_is_not_rejected(n: int, alpha: float) -> None:
    drawn = np.random.default_rng(n)
    base, candidate = drawn.normal(size=n), drawn.normal(0.4, size=n)
    differences = candidate - base

    def p_at(shift: float) -> float:
        moved = differences - shift
        sums = [float(np.dot(signs, moved)) for signs in product((1, -1), repeat=n)]
        above, below = (np.mean([sign * s >= sign * moved.sum() - 1e-12 for s in sums]) for sign in (1, -1))
        return float(min(1.0, 2 * min(above, below)))

    found = paired_test(base.tolist(), candidate.tolist(), alpha)
    assert found.exact
    assert found.effect == pytest.approx(differences.mean())
    assert found.p == pytest.approx(p_at(0.0))
    if math.isfinite(found.low):
        for end, inward in ((found.low, 1), (found.high, -1)):
            assert p_at(end + inward * 1e-9) > alpha
            assert p_at(end - inward * 1e-9) <= alpha
    else:
        assert 2 / 2**n > alpha


def test_many_pairs_are_drawn_and_differences_of_nothing_are_nothing() -> None:
    values = np.random.default_rng(0).normal(size=30)
    drawn = paired_test(values.tolist(), (values + 2).tolist())
    assert not drawn.exact
    assert drawn.p < 1e-4
    assert (drawn.low, drawn.high) == pytest.approx((2.0, 2.0))
    assert paired_test([1.0] * 8, [1.0] * 8) == Permutation(0.0, 1.0, 0.0, 0.0, exact=True)


@pytest.mark.parametrize(
    ("base", "candidate", "alpha", "said"),
    [
        ([], [], 0.05, "as many values"),
        ([1.0], [1.0, 2.0], 0.05, "as many values"),
        ([1.0], [math.inf], 0.05, "finite"),
        ([1.0], [2.0], 1.0, "between 0 and 1"),
    ],
)
def test_pairs_that_are_none_are_refused(base: list[float], candidate: list[float], alpha: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        paired_test(base, candidate, alpha)


SIZES = [(2, 7), (2, 3), (4, 4), (3, 6), (6, 2), (5, 5)]
few = settings(max_examples=15, deadline=None)
groups = st.lists(st.integers(-1000, 1000).map(lambda i: i / 8), min_size=1, max_size=5)


def drawn(n: int, m: int, shift: float = 1.0) -> tuple[list[float], list[float]]:
    draws = np.random.default_rng(10 * n + m)
    return draws.normal(0, 1, n).tolist(), draws.normal(shift, 2, m).tolist()


def scipys_p(base: Sequence[float], candidate: Sequence[float]) -> float:
    def statistic(a: Floats, b: Floats, axis: int) -> Floats:
        return np.asarray(a.mean(axis=axis) - b.mean(axis=axis))

    found = scipy.stats.permutation_test((candidate, base), statistic, vectorized=True, n_resamples=10**9)
    return float(found.pvalue)


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("shift", [-3.0, 0.3, 2.0])
def test_p_is_scipys(n: int, m: int, shift: float) -> None:
    base, candidate = drawn(n, m, shift)
    found = permutation_test(base, candidate)
    assert found.exact
    assert found.effect == pytest.approx(np.mean(candidate) - np.mean(base))
    assert found.p == pytest.approx(scipys_p(base, candidate))


@pytest.mark.parametrize(
    ("base", "candidate"),
    [([1, 1, 2], [1, 2, 2, 2]), ([0, 0, 0, 0], [1, 1, 1, 1]), ([9, 9, 8, 9, 9], [9, 7, 8, 8]), ([0.1, 0.3], [0.2] * 5)],
)
def test_p_is_scipys_where_values_are_tied(base: list[float], candidate: list[float]) -> None:
    assert permutation_test(base, candidate).p == pytest.approx(scipys_p(base, candidate))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 5), (3, 7), (8, 3), (2, 12)])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_the_interval_holds_exactly_the_shifts_that_are_not_rejected(n: int, m: int, alpha: float) -> None:
    base, candidate = drawn(n, m)
    found = permutation_test(base, candidate, alpha)
    assert -math.inf < found.low < found.effect < found.high < math.inf

    def p_at(shift: float) -> float:
        return permutation_test(base, [value - shift for value in candidate]).p

    assert p_at(found.low - 1e-6) <= alpha < p_at(found.low + 1e-6)
    assert p_at(found.high + 1e-6) <= alpha < p_at(found.high - 1e-6)
    assert min(p_at(found.low), p_at(found.high)) > alpha, "the ends belong to it"
    assert all(p_at(shift) > alpha for shift in np.linspace(found.low, found.high, 21))
    assert all(p_at(end) <= alpha for step in (0.1, 1, 10) for end in (found.low - step, found.high + step))


@pytest.mark.parametrize(("n", "m", "finite"), [(3, 3, False), (1, 30, False), (3, 4, False), (4, 4, True)])
def test_too_few_values_leave_every_shift_open(n: int, m: int, finite: bool) -> None:
    found = permutation_test([float(i) for i in range(n)], [100.0 + i for i in range(m)])
    assert (found.p <= 0.05) == finite
    assert [math.isfinite(end) for end in (found.low, found.high)] == [finite] * 2
    assert math.isfinite(permutation_test([1.0, 2, 3], [7.0, 8, 9], alpha=0.1).low), "one in twenty is enough for 10 %"


def test_identical_groups_give_no_change() -> None:
    found = permutation_test([3.0] * 4, [3.0] * 4)
    assert (found.effect, found.p, found.low, found.high) == (0, 1, 0, 0)


@given(groups, groups, st.randoms(use_true_random=False))
@few
def test_the_order_within_a_group_plays_no_part(
    base: list[float], candidate: list[float], shuffler: random.Random
) -> None:
    found = permutation_test(base, candidate)
    shuffler.shuffle(base)
    shuffler.shuffle(candidate)
    again = permutation_test(base, candidate)
    assert again.p == pytest.approx(found.p)
    assert (again.effect, again.low, again.high) == pytest.approx((found.effect, found.low, found.high), abs=1e-9)


@given(groups, groups, st.sampled_from([0.01, 0.5, 3.0, 1000.0]), st.integers(-50, 50), st.integers(-50, 50))
@few
def test_shift_and_scale_pass_through(
    base: list[float], candidate: list[float], scale: float, shift: int, apart: int
) -> None:
    found = permutation_test(base, candidate)
    moved = permutation_test([scale * v + shift for v in base], [scale * v + shift for v in candidate])
    assert moved.p == pytest.approx(found.p)
    wanted = [scale * value for value in (found.effect, found.low, found.high)]
    assert [moved.effect, moved.low, moved.high] == pytest.approx(wanted, abs=1e-7)
    further = permutation_test(base, [v + apart for v in candidate])
    assert [further.low, further.high] == pytest.approx([found.low + apart, found.high + apart], abs=1e-7)


@given(groups, groups)
@few
def test_swapped_sides_turn_the_sign(base: list[float], candidate: list[float]) -> None:
    found, swapped = permutation_test(base, candidate), permutation_test(candidate, base)
    assert swapped.p == pytest.approx(found.p)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


def test_too_many_deals_are_drawn_and_come_close() -> None:
    draws = np.random.default_rng(4)
    base, candidate = draws.integers(0, 30, 11).tolist(), draws.integers(8, 38, 11).tolist()
    assert math.comb(22, 11) > MAX_DEALS
    found = permutation_test(base, candidate)
    assert not found.exact
    assert found.p == pytest.approx(p_by_counting_sums(base, candidate), abs=0.003)
    assert permutation_test(base, candidate) == found, "what is drawn is always the same"
    low = permutation_test(base, [value - found.low for value in candidate])
    assert low.p == pytest.approx(0.05, abs=0.003)


def test_drawn_deals_never_give_a_p_of_0() -> None:
    assert permutation_test([0.0] * 30, [1.0 + i for i in range(30)]).p == pytest.approx(smallest_p(30, 30))


def p_by_counting_sums(base: Sequence[int], candidate: Sequence[int]) -> float:
    """The exact p: how many choices of so many values have which sum, value by value."""
    ways: Counter[tuple[int, int]] = Counter({(0, 0): 1})
    for value in (*base, *candidate):
        for (taken, total), count in list(ways.items()):
            ways[taken + 1, total + value] += count
    sums = {total: count for (taken, total), count in ways.items() if taken == len(candidate)}
    seen, every = sum(candidate), sum(sums.values())
    above = sum(count for total, count in sums.items() if total >= seen)
    below = sum(count for total, count in sums.items() if total <= seen)
    return min(1.0, 2 * min(above, below) / every)


def test_holm_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@few
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    corrected = holm(p_values)
    pairs = list(zip(p_values, corrected, strict=True))
    assert all(p <= c <= 1 for p, c in pairs)
    assert all(a[1] <= b[1] for a, b in product(pairs, pairs) if a[0] <= b[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation_test([], [1.0]), "needs a value on either side"),
        (lambda: permutation_test([1.0], []), "needs a value on either side"),
        (lambda: permutation_test([1.0, math.nan], [1.0]), "needs finite values"),
        (lambda: permutation_test([1.0], [math.inf]), "needs finite values"),
        (lambda: permutation_test([1.0], [1.0], alpha=0), "α must lie between 0 and 1, not 0"),
        (lambda: permutation_test([1.0], [1.0], alpha=1), "α must lie between 0 and 1, not 1"),
        (lambda: permutation_test([1.0], [1.0], alpha=math.nan), "α must lie between 0 and 1, not nan"),
    ],
)
def test_what_can_not_be_tested_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("n", "m", "p"), [(1, 1, 1), (3, 3, 0.1), (4, 4, 2 / 70), (2, 5, 2 / 21), (6, 6, 2 / 924)])
def test_the_smallest_p_is_that_of_groups_apart(n: int, m: int, p: float) -> None:
    assert smallest_p(n, m) == pytest.approx(p)
    assert permutation_test([float(i) for i in range(n)], [50.0 + i for i in range(m)]).p == pytest.approx(p)
    assert smallest_p(20, 20) == 2 / (MAX_DEALS + 1)
