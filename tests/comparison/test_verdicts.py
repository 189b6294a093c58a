from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from harness.comparison.permutation import smallest_p
from harness.comparison.rule import Rule
from harness.comparison.verdicts import Comparison, NotComparableError, compare, exit_code, tally
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
