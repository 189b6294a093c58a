from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.comparison.permutation import smallest_p
from harness.comparison.rule import Rule
from harness.comparison.sequential import joint_p, looks, most_seeds, of_reference, smallest_noticed, stand
from harness.records.record import Record


def records(name: str, values: dict[str, float], seed: int, status: str = "measured") -> list[Record]:
    facts: dict[str, Any] = {"suite": "quality", "profile": "x", "data": "", "device": "", "environment": "", "n": 100}
    directions: dict[str, Any] = {"fid": "lower", "precision": "higher"}
    facts |= {"reference": name, "unit": "", "status": status, "seed": seed, "headline": True}
    return [Record(metric=metric, value=value, better=directions[metric], **facts) for metric, value in values.items()]


def sides(seeds: int, shift: float, spread: float = 1.0, seed: int = 0) -> tuple[list[Record], list[Record]]:
    random = np.random.default_rng(seed)

    def side(first: int, moved: float) -> list[Record]:
        drawn = spread * random.standard_normal((seeds, 2))
        values = [{"fid": 10 + moved + a, "precision": 0.5 + b / 100} for a, b in drawn.tolist()]
        return [record for k, value in enumerate(values) for record in records("gan", value, first + k)]

    return side(0, 0.0), side(1000, shift)


@pytest.mark.parametrize(("most", "alpha"), [(5, 0.05), (8, 0.05), (9, 0.0025), (6, 0.01)])
def test_all_looks_together_spend_alpha_and_each_can_tell_at_first(most: int, alpha: float) -> None:
    planned = looks(most, alpha)
    assert sum(look.alpha for look in planned) == pytest.approx(alpha)
    assert smallest_p(planned[0].seeds, planned[0].seeds) <= planned[0].alpha + 1e-9
    assert [look.seeds for look in planned] == list(range(planned[0].seeds, most + 1))


def test_the_first_look_is_at_four_seeds_and_three_tell_nothing() -> None:
    assert [look.seeds for look in looks(5, 0.05)] == [4, 5]
    assert looks(3, 0.05) == []
    assert (most_seeds(1, 0.05), most_seeds(20, 0.05)) == (5, 8)


def test_joint_p_is_the_share_of_deals_as_worked_by_hand() -> None:
    base, candidate = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    assert joint_p(base, candidate).tolist() == [pytest.approx(2 / 6)]
    # Of a metric that doesn't differ at all every deal is as far apart.
    both = joint_p(np.c_[base, [[1.0], [1.0]]], np.c_[candidate, [[1.0], [1.0]]])
    assert both.tolist() == [pytest.approx(2 / 6), 1.0]


def test_many_metrics_cost_no_seeds() -> None:
    random = np.random.default_rng(0)
    base, noise = random.standard_normal((4, 20)), random.standard_normal((4, 20))
    candidate = np.c_[base[:, :1] + 100, noise[:, 1:]]
    assert joint_p(base, candidate)[0] == pytest.approx(2 / 70)


def test_joint_p_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="finite values on either side"):
        joint_p(np.array([[np.nan]]), np.array([[1.0]]))


def test_what_is_far_apart_is_worse_at_four_seeds_and_stops() -> None:
    at_three = stand("gan", *sides(3, 20.0), most=5, rule=Rule(), spent=())
    assert at_three.goes_on
    at_four = stand("gan", *sides(4, 20.0), most=5, rule=Rule(), spent=())
    assert (at_four.goes_on, at_four.why) == (False, "something got worse")
    assert {c.series: c.verdict for c in at_four.comparisons}["fid"] == "worse"


def test_what_cannot_change_any_more_stops_and_says_what_would_have_shown() -> None:
    standing = stand("gan", *sides(4, 0.0, seed=1), most=5, rule=Rule(margin=0.001), spent=())
    assert (standing.goes_on, standing.why) == (False, "more seeds couldn't change it")
    fid = next(c for c in standing.comparisons if c.series == "fid")
    assert fid.verdict == "inconclusive"
    assert "% of the base would have been noticed" in fid.reason


def test_kept_within_the_margin_needs_no_more_seeds() -> None:
    standing = stand("gan", *sides(4, 0.0, spread=0.01), most=8, rule=Rule(), spent=())
    assert (standing.goes_on, standing.why) == (False, "everything is decided")
    assert {c.verdict for c in standing.comparisons} == {"kept"}


def test_better_stands_once_it_was_found() -> None:
    found = stand("gan", *sides(5, -20.0), most=8, rule=Rule(), spent={"fid"})
    assert {c.series: c.verdict for c in found.comparisons}["fid"] == "better"


def test_nothing_measured_is_no_answer() -> None:
    standing = stand("other", [], [], most=5, rule=Rule(), spent=())
    assert [c.verdict for c in standing.comparisons] == ["not comparable"]
    assert not standing.goes_on


def test_the_smallest_change_that_is_noticed_parts_the_values() -> None:
    base, candidate = [1.0, 2.0, 3.0], [11.0, 12.0, 14.0]
    least = smallest_noticed(base, candidate)
    moved = [value - np.mean(candidate) + np.mean(base) + least for value in candidate]
    assert min(moved) >= max(base) - 1e-9


def test_a_metric_that_lacks_a_seed_is_judged_with_its_own_deals() -> None:
    base, candidate = sides(4, 20.0)
    lacking = [r for r in candidate if (r.metric, r.seed) != ("precision", 1003)]
    standing = stand("gan", base, lacking, most=5, rule=Rule(), spent=())
    p = {c.series: c.corrected_p for c in standing.comparisons}
    assert p["fid"] == pytest.approx(2 * 2 / 70)
    assert standing.goes_on


def test_a_small_form_belongs_to_its_reference_and_a_variant_does_not() -> None:
    names = ("gan", "gan@width=8", "other", "gan@corrected", "gan@corrected,width=8")
    found = [record for name in names for record in records(name, {"fid": 1.0}, 0)]
    asked = ["gan", "gan@corrected"]
    assert [r.reference for r in of_reference(found, "gan", asked)] == ["gan", "gan@width=8"]
    assert [r.reference for r in of_reference(found, "gan@corrected", asked)] == list(names[3:])
