from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from harness.comparison.permutation import smallest_p
from harness.comparison.rule import Rule
from harness.comparison.verdicts import Comparison, NotComparableError, compare, exit_code, least_seeds, tally
from harness.records.record import Record
from tests.records.test_record import record

TEN = (10.0, 10.05, 9.95, 10.1, 9.9)
THIRTEEN = tuple(value + 3 for value in TEN)
EIGHT = tuple(value - 2 for value in TEN)


def side(values: Sequence[float], **changes: Any) -> list[Record]:
    facts: dict[str, Any] = {
        "suite": "quality",
        "metric": "fid",
        "better": "lower",
        "headline": True,
        "n": 256,
        "batch_size": 64,
        "epochs": 2.0,
        "protocol": {"extractor": "mnistnet", "data": "abc"},
    }
    return [record(**(facts | {"seed": seed} | changes), value=value) for seed, value in enumerate(values)]


# Of networks before their first step.
BEGUN = {"protocol": {"extractor": "mnistnet", "data": "abc", "training": "none"}, "headline": False}


def failure(**changes: Any) -> Record:
    facts = {"suite": "quality", "metric": "test_quality", "status": "failed", "reason": "loss is nan", "seed": 3}
    return record(**(facts | {"value": None} | changes))


def only(base: Sequence[Record], candidate: Sequence[Record], rule: Rule | None = None) -> Comparison:
    """The one comparison; the candidate has other seeds than the base, so that nothing is paired."""
    (found,) = compare(base, with_other_seeds(candidate), rule)
    return found


def with_other_seeds(records: Sequence[Record]) -> list[Record]:
    return [dataclasses.replace(r, seed=None if r.seed is None else r.seed + 100) for r in records]


JUDGED = [
    ("lower", THIRTEEN, "worse"),
    ("lower", EIGHT, "better"),
    ("higher", THIRTEEN, "better"),
    ("higher", EIGHT, "worse"),
    ("lower", TEN[::-1], "kept"),
    ("higher", [value + 0.3 for value in TEN], "kept"),
]
Compare = Callable[[Sequence[Record], Sequence[Record]], list[Comparison]]


def verdicts_of(judge: Compare) -> list[str]:
    return [judge(side(TEN, better=b), with_other_seeds(side(values, better=b)))[0].verdict for b, values, _ in JUDGED]


def test_the_direction_decides_what_a_change_is_called() -> None:
    assert verdicts_of(compare) == [verdict for *_, verdict in JUDGED]


@pytest.mark.parametrize("blind_to", ["lower", "higher"])
def test_a_comparison_that_ignores_the_direction_would_be_noticed(blind_to: str) -> None:
    def blind(base: Sequence[Record], candidate: Sequence[Record]) -> list[Comparison]:
        one, other = ([dataclasses.replace(r, better=blind_to) for r in group] for group in (base, candidate))  # type: ignore[arg-type]
        return compare(one, other)

    wrong = [got for got, (*_, right) in zip(verdicts_of(blind), JUDGED, strict=True) if got != right]
    assert sorted(wrong) == ["better", "worse"]


def test_a_comparison_says_what_it_rests_on() -> None:
    found = only(side(TEN), side(THIRTEEN), Rule(margin=0.2))
    assert (found.reference, found.series) == ("toy-grid", "fid")
    assert (found.base, found.candidate) == (TEN, THIRTEEN)
    assert found.margin == pytest.approx(2.0)
    assert found.corrected_p == pytest.approx(smallest_p(5, 5))
    assert found.test is not None
    assert found.test.low <= 3 <= found.test.high


def test_values_are_in_the_order_of_their_seeds() -> None:
    assert only(side(TEN)[::-1], side(THIRTEEN)).base == TEN


def test_a_significant_change_within_the_margin_is_kept() -> None:
    assert only(side(TEN), side([value + 0.5 for value in TEN])).verdict == "kept"
    assert only(side(TEN), side([value + 0.5 for value in TEN]), Rule(margin=0.01)).verdict == "worse"


def test_a_seed_that_counts_twice_would_pretend_evidence() -> None:
    found = only(side(TEN[:1]) * 5, side(THIRTEEN[:1]) * 5)
    assert (found.verdict, found.reason) == ("not comparable", "the base holds a seed twice: 0")


def test_a_value_that_is_not_finite_is_worse_in_the_candidate_alone() -> None:
    broken = side([*TEN[:-1], float("nan")])
    assert only(side(TEN), broken).verdict == "worse"
    assert only(broken, side(TEN)).verdict == "not comparable"


def test_a_small_form_fails_under_the_name_of_the_whole() -> None:
    base = side(TEN, reference="style-transfer@size=32")
    assert only(base, [failure(reference="style-transfer")]).verdict == "worse"
    other = [*side(TEN, reference="a@corrected"), *side(TEN, reference="a")]
    found = compare(other, [*other, failure(reference="a")])
    assert {c.reference: c.verdict for c in found} == {"a@corrected": "kept", "a": "worse"}


def test_an_alpha_that_no_number_of_seeds_reaches_is_no_crash() -> None:
    assert only(side(TEN), side(THIRTEEN), Rule(alpha=1e-6)).verdict == "inconclusive"


def test_a_negative_mean_has_a_margin_too() -> None:
    values = [-value for value in TEN]
    assert only(side(values), side(values[::-1])).verdict == "kept"


def test_more_metrics_ask_for_stronger_evidence() -> None:
    one, other = side(TEN[:4]), side(THIRTEEN[:4])
    assert only(one, other).verdict == "worse"
    kid = side(TEN[:4], metric="kid")
    both = {c.series: c for c in compare([*one, *kid], with_other_seeds([*other, *kid]))}
    assert both["fid"].corrected_p == pytest.approx(2 * smallest_p(4, 4))
    assert {name: c.verdict for name, c in both.items()} == {"fid": "inconclusive", "kid": "kept"}
    assert both["fid"].reason == "needs about 5 seeds"


def test_the_same_values_for_the_same_seeds_are_kept_at_once() -> None:
    """A comment that changes, or a comparison with oneself: with two seeds a test would need ninety."""
    records = [*side((79.0, 55.0)), *side((0.0, 0.0), metric="precision", better="higher")]
    found = compare(records, records)
    assert {(c.verdict, c.reason, c.test) for c in found} == {("kept", "the same values for the same seeds", None)}
    assert exit_code(found) == 0
    shuffled = compare(records, records[::-1])
    assert {c.verdict for c in shuffled} == {"kept"}
    assert only(side((79.0, 55.0)), side((79.0, 55.0))).verdict == "inconclusive", "of other seeds that is chance"


def test_the_last_digit_counts() -> None:
    (found,) = compare(side((79.0, 55.0)), side((79.0, np.nextafter(55.0, 56.0))))
    assert found.verdict == "inconclusive"


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
    ("changes", "reason"),
    [
        ({"protocol": {"extractor": "inception", "data": "abc"}}, "protocol, extractor: mnistnet against inception"),
        ({"protocol": {"extractor": "mnistnet", "data": "xyz"}}, "protocol, data: abc against xyz"),
        ({"protocol": {"extractor": "mnistnet"}}, "protocol, data: abc against absent"),
        ({"n": 10_000}, "n: 256 against 10000"),
        ({"profile": "standard"}, "profile: smoke against standard"),
        ({"epochs": 3.0}, "epochs: 2.0 against 3.0"),
        ({"batch_size": 32}, "batch_size: 64 against 32"),
        ({"unit": "nats"}, "unit:  against nats"),
        ({"better": "higher"}, "better: lower against higher"),
    ],
)
def test_values_measured_otherwise_are_not_compared_and_the_field_is_named(
    changes: dict[str, Any], reason: str
) -> None:
    found = only(side(TEN), side(TEN, **changes))
    assert (found.verdict, found.reason) == ("not comparable", reason)
    assert found.test is None
    assert found.corrected_p is None


def test_another_machine_is_no_obstacle() -> None:
    assert only(side(TEN), side(TEN, device="cuda", environment="other", time="2020-01-01")).verdict == "kept"


def test_values_on_one_side_only_are_not_compared() -> None:
    found = {
        c.series: c for c in compare([*side(TEN), *side(TEN, metric="old")], [*side(TEN), *side(TEN, metric="new")])
    }
    assert {name: (c.verdict, c.reason) for name, c in found.items()} == {
        "fid": ("kept", "the same values for the same seeds"),
        "old": ("not comparable", "only in the base"),
        "new": ("not comparable", "only in the candidate"),
    }


def test_a_side_of_two_kinds_is_not_compared() -> None:
    mixed = [*side(TEN)[:3], *side(TEN, n=512)[3:]]
    assert only(mixed, side(TEN)).reason == "within the base itself: n: 256 against 512"
    assert only(side(TEN), mixed).reason == "within the candidate itself: n: 256 against 512"
    assert only(mixed, mixed).verdict == "not comparable"


def test_a_check_that_fails_in_the_candidate_alone_is_worse() -> None:
    found = only(side(TEN), [*side(TEN), failure()])
    assert (found.verdict, found.reason) == ("worse", "fails in the candidate: seed 103: loss is nan")
    assert only(side(TEN), [failure()]).verdict == "worse", "also when nothing could be measured"
    assert only([*side(TEN), failure()], [*side(TEN), failure()]).verdict == "kept"
    assert only([*side(TEN), failure()], side(TEN)).verdict == "kept"
    assert only(side(TEN), [*side(TEN), failure(suite="shapes")]).verdict == "kept"
    assert only(side(TEN), [*side(TEN), failure(reference="other")]).verdict == "kept"


@pytest.mark.parametrize("status", ["estimated", "simulated", "documented"])
def test_what_was_not_measured_takes_no_part(status: str) -> None:
    assert only(side(TEN), [*side(TEN), *side(THIRTEEN, status=status)]).candidate == TEN
    with pytest.raises(NotComparableError):
        compare(side(TEN, status=status), side(TEN, status=status))


def test_the_headline_takes_part_unless_told_otherwise() -> None:
    records = [
        *side(TEN),
        *side(TEN, metric="kid"),
        *side(TEN, metric="fid_2", headline=False),
        *side(TEN, metric="share", better="none", headline=False),
    ]

    def metrics(*patterns: str) -> list[str]:
        return [c.series for c in compare(records, records, Rule(metrics=patterns))]

    assert metrics() == ["fid", "kid"]
    assert metrics("fid*") == ["fid", "fid_2"]
    assert metrics("kid", "*_2") == ["kid", "fid_2"]
    assert metrics("*") == ["fid", "kid", "fid_2"], "without a direction nothing is worse"


@pytest.mark.parametrize(
    ("base", "candidate", "metrics"),
    [([], [], ()), (side(TEN), side(TEN), ("nothing*",)), (side(TEN, headline=False), side(TEN, headline=False), ())],
)
def test_nothing_to_compare_is_said(base: list[Record], candidate: list[Record], metrics: tuple[str, ...]) -> None:
    with pytest.raises(NotComparableError, match="there is nothing to compare") as raised:
        compare(base, candidate, Rule(metrics=metrics))
    assert raised.value.exit_code == 10


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["kept"], 0),
        (["kept", "better"], 0),
        (["kept", "worse"], 1),
        (["inconclusive", "worse", "not comparable"], 1),
        (["kept", "inconclusive"], 10),
        (["better", "not comparable"], 10),
        ([], 0),
    ],
)
def test_the_exit_code_follows_the_gravest_verdict(verdicts: list[Any], code: int) -> None:
    assert exit_code(Comparison("r", "m", (), (), verdict, "") for verdict in verdicts) == code


def test_the_tally_counts_every_verdict() -> None:
    given: list[Any] = ["worse", "kept", "kept"]
    assert tally([Comparison("r", "m", (), (), verdict, "") for verdict in given]) == "2 kept, 1 worse"


@pytest.mark.parametrize(
    ("metrics", "alpha", "seeds"), [(1, 0.05, 4), (2, 0.05, 5), (6, 0.05, 5), (7, 0.05, 6), (1, 0.01, 5)]
)
def test_the_fewest_seeds_that_can_show_anything(metrics: int, alpha: float, seeds: int) -> None:
    assert least_seeds(metrics, alpha) == seeds
    assert smallest_p(seeds, seeds) * metrics <= alpha < smallest_p(seeds - 1, seeds - 1) * metrics


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_an_alpha_that_is_no_chance_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        Rule(alpha=alpha)


@pytest.mark.parametrize("margin", [0, -0.1, float("inf"), float("nan")])
def test_a_margin_that_is_no_share_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="the margin must be a positive share"):
        Rule(margin=margin)


CPU_FIGURE = {"numerics": "deterministic", "float32 convolutions": "ieee", "float32 products": "ieee"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("float32 convolutions", "tf32"),
        ("float32 products", "tf32"),
        ("float32 products", "bf16"),
        ("numerics", "as documented (cudnn.benchmark)"),
    ],
)
def test_a_cpus_figure_and_one_of_less_precision_are_not_comparable(field: str, value: str) -> None:
    base, other = side(TEN, protocol=CPU_FIGURE), side(TEN, protocol=CPU_FIGURE | {field: value})
    found = only(base, other)
    assert (found.verdict, found.reason) == (
        "not comparable",
        f"protocol, {field}: {CPU_FIGURE[field]} against {value}",
    )


def test_records_from_before_precision_was_recorded_are_those_of_cpus() -> None:
    """No GPU had run any of this by then."""
    before = side(TEN, protocol={"extractor": "mnistnet"})
    assert only(before, side(TEN, protocol={"extractor": "mnistnet"} | CPU_FIGURE)).verdict == "kept"
    tf32 = {"extractor": "mnistnet"} | CPU_FIGURE | {"float32 convolutions": "tf32"}
    assert only(before, side(TEN, protocol=tf32)).verdict == "not comparable"
