"""What seeds can say, and metrics that say nothing: at their worst, or where training began."""

from __future__ import annotations

import dataclasses
import math
import re
from statistics import NormalDist

import numpy as np
import pytest

from harness.comparison.permutation import smallest_p
from harness.comparison.rule import Rule
from harness.comparison.verdicts import compare, least_seeds, seeds_needed
from tests.comparison.test_verdicts import EIGHT, TEN, THIRTEEN, only, side, with_other_seeds

# Of networks before their first step.
BEGUN = {"protocol": {"extractor": "mnistnet", "data": "abc", "training": "none"}, "headline": False}


def test_an_alpha_that_no_number_of_seeds_reaches_is_no_crash() -> None:
    assert only(side(TEN), side(THIRTEEN), Rule(alpha=1e-6)).verdict == "inconclusive"


FLOORS = [
    ("precision", "higher", 0.0),
    ("recall", "higher", 0.0),
    ("class_kl_to_uniform", "lower", math.log(10)),
    ("high_quality_fraction", "higher", 0.0),
]


@pytest.mark.parametrize(("metric", "better", "worst"), FLOORS)
def test_the_worst_there_is_on_both_sides_says_nothing(metric: str, better: str, worst: float) -> None:
    """β₁ 0.5 to 0.9 in a training of eight steps: precision 0 before and after isn't precision kept."""
    base = [*side(TEN), *side([worst] * 5, metric=metric, better=better)]
    candidate = [*side(THIRTEEN), *side([worst] * 5, metric=metric, better=better)]
    for other in (candidate, with_other_seeds(candidate)):
        found = {c.series: c for c in compare(base, other)}
        assert found[metric].verdict == "inconclusive"
        assert found[metric].reason == f"says nothing: {worst:.4g}, the worst there is, on both sides"
    away = [*side(TEN), *side([0.5] * 5, metric=metric, better=better)]
    assert "says nothing" not in {c.series: c for c in compare(base, away)}[metric].reason
    alone = base[5:]
    assert compare(alone, alone)[0].verdict == "inconclusive", "many changes would leave that as it is"


def test_what_has_not_left_its_start_says_nothing() -> None:
    start = side([10.4], **BEGUN)
    found = only([*side(TEN), *start], side([value + 0.2 for value in TEN]))
    assert found.verdict == "inconclusive"
    assert found.reason == "says nothing: 10 and 10.2 are no better than 10.4 before training; train for longer"
    far = side([80.0], **BEGUN)
    assert only([*side(TEN), *far], side([value + 0.2 for value in TEN])).verdict == "kept"
    assert only([*side(TEN), *start], side(EIGHT)).verdict == "better", "one side has left it"


def test_what_was_not_measured_at_the_start_follows_its_training() -> None:
    recall = [0.50, 0.51, 0.50, 0.52, 0.51]
    start = side([10.4], **BEGUN)
    base = [*side(TEN), *side(recall, metric="recall_9", better="higher"), *start]
    for fid, said in ((TEN, True), (EIGHT, False)):
        candidate = [*with_other_seeds(side(fid)), *with_other_seeds(side(recall, metric="recall_9", better="higher"))]
        found = {c.series: c.reason for c in compare(base, candidate)}["recall_9"]
        assert found.startswith("says nothing, as the training hasn't left its start: fid, 10 and 10 are no") is said
        alone = only(base, candidate, Rule(metrics=("recall_*",)))
        assert alone.reason == found, "whatever takes part"
    still = [*with_other_seeds(side(TEN)), *with_other_seeds(side(recall, metric="recall_9", better="higher"))]
    elsewhere = [dataclasses.replace(r, reference="another") for r in start]
    assert "start" in " ".join(c.reason for c in compare(base, still))
    assert "start" not in " ".join(c.reason for c in compare([*base[:-1], *elsewhere], still))
    fewer = [dataclasses.replace(r, n=7) if r.series == "fid" else r for r in still]
    assert "start" not in " ".join(c.reason for c in compare(base, fewer)), "a FID of fewer says nothing of it"


def test_falling_below_the_start_says_something() -> None:
    start = side([10.4], **BEGUN)
    found = only([*side(TEN), *start], with_other_seeds(side([v * 50 for v in TEN])))
    assert found.verdict == "worse"
    both = [side([v * 50 for v in TEN]), with_other_seeds(side([v * 50.1 for v in TEN]))]
    assert "no better than 10.4 before training" in only([*both[0], *start], both[1]).reason


@pytest.mark.parametrize("where", ["start", "candidate"])
def test_a_start_or_a_side_that_is_not_finite_silences_nothing(where: str) -> None:
    nan = float("nan")
    start = side([nan if where == "start" else 10.4], **BEGUN)
    candidate = with_other_seeds(side([nan] * 5 if where == "candidate" else THIRTEEN))
    assert only([*side(TEN), *start], candidate).verdict == "worse"
    high, low = ([share + 0.001 * seed for seed in range(5)] for share in (0.5, 0.2))
    base = [*side(TEN), *side(high, metric="recall_9", better="higher"), *start]
    fallen = [*candidate, *with_other_seeds(side(low, metric="recall_9", better="higher"))]
    assert {c.series: c.verdict for c in compare(base, fallen)}["recall_9"] == "worse"


def test_the_same_seeds_are_held_against_each_other() -> None:
    """Seeds that differ far more than the change: only pairs can see it."""
    base = [10.0 * 2**seed for seed in range(8)]
    candidate = [value + 1.0 + 0.01 * seed for seed, value in enumerate(base)]
    rule = Rule(margin=1e-6)
    (found,) = compare(side(base), side(candidate), rule)
    assert (found.verdict, found.paired) == ("worse", True)
    assert found.test is not None
    assert found.test.p == pytest.approx(2 / 2**8)
    other = only(side(base), side(candidate), rule)
    assert (other.verdict, other.paired) == ("inconclusive", False)
    (reversed_,) = compare(side(base)[::-1], side(candidate), rule)
    assert reversed_.test == found.test, "seeds decide who is held against whom, not the order of lines"
    some = compare(side(base), side(candidate)[1:], rule)
    assert not some[0].paired, "a seed is missing on one side"


def test_pairs_need_more_seeds_to_say_as_much() -> None:
    assert (least_seeds(5), least_seeds(5, paired=True)) == (5, 8)
    assert (least_seeds(1), least_seeds(1, paired=True)) == (4, 6)


def spaced(n: int, mean: float, spread: float) -> list[float]:
    """What n seeds give on average: evenly spaced quantiles of a normal distribution, of this mean and spread."""
    values = np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])
    return [float(value) for value in mean + spread * values / values.std(ddof=1)]


@pytest.mark.parametrize(("candidate", "spread", "settled"), [(12.0, 1.5, "worse"), (10.0, 1.0, "kept")])
def test_as_many_seeds_as_it_asks_for_mostly_settle_the_matter(candidate: float, spread: float, settled: str) -> None:
    found = only(side(spaced(5, 10, spread)), side(spaced(5, candidate, spread)))
    assert found.verdict == "inconclusive"
    asked = re.fullmatch(r"needs about (\d+) seeds", found.reason)
    assert asked is not None
    assert 5 < int(asked[1]) < 40
    assert share_settled(settled, int(asked[1]), candidate, spread) >= 0.7
    assert share_settled(settled, 5, candidate, spread) < 0.5


def share_settled(verdict: str, n: int, candidate: float, spread: float) -> float:
    """How often n seeds a side, drawn at random, end in this verdict."""
    draws = np.random.default_rng(0)
    pairs = ((draws.normal(10, spread, n), draws.normal(candidate, spread, n)) for _ in range(20))
    return float(np.mean([only(side(a.tolist()), side(b.tolist())).verdict == verdict for a, b in pairs]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_seeds_are_never_called_worse(n: int) -> None:
    found = only(side(TEN[:n]), side([value * 100 for value in TEN[:n]]))
    assert (found.verdict, found.reason) == ("inconclusive", "needs about 4 seeds")


def test_a_matter_that_no_sensible_number_of_seeds_settles_says_so() -> None:
    found = only(side(spaced(5, 10, 20)), side(spaced(5, 10.5, 20)))
    assert (found.verdict, found.reason) == ("inconclusive", "needs more than 200 seeds")


@pytest.mark.parametrize(
    ("metrics", "alpha", "seeds"), [(1, 0.05, 4), (2, 0.05, 5), (6, 0.05, 5), (7, 0.05, 6), (1, 0.01, 5)]
)
def test_the_fewest_seeds_that_can_show_anything(metrics: int, alpha: float, seeds: int) -> None:
    assert least_seeds(metrics, alpha) == seeds
    assert smallest_p(seeds, seeds) * metrics <= alpha < smallest_p(seeds - 1, seeds - 1) * metrics


def test_an_effect_as_large_as_the_margin_is_never_settled_by_fitting_into_it() -> None:
    """Of twenty metrics each needs more seeds to be told apart than to be found within a margin of the same size."""
    base = [0.0, 1.0, 2.0, 3.0, 4.0]
    moved = [value + 1 for value in base]
    apart, within = (seeds_needed(base, moved, margin, 20, 0.05) for margin in (1.0, 1.0 + 1e-9))
    assert apart is not None
    assert within is not None
    assert apart > within
