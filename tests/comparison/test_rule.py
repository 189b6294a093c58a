"""Which values take part in a comparison, and rules that are none."""

from __future__ import annotations

import pytest

from harness.comparison.rule import Rule
from harness.comparison.verdicts import NotComparableError, compare
from tests.comparison.test_verdicts import TEN, THIRTEEN, only, side


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


def test_a_metric_is_chosen_by_its_name_or_by_its_series() -> None:
    records = [
        *side([1.0] * 10, metric="same_bits", protocol={"variation": "again"}),
        *side([1.0] * 10, metric="same_bits", protocol={"variation": "2 workers"}),
    ]

    def chosen(pattern: str) -> list[str]:
        return [c.series for c in compare(records, records, Rule(metrics=(pattern,)))]

    assert chosen("same_bits") == ["same_bits [variation again]", "same_bits [variation 2 workers]"]
    assert chosen("*2 workers*") == ["same_bits [variation 2 workers]"]


def test_a_mistyped_metric_is_refused_and_no_open_verdict() -> None:
    records = [*side(TEN), *side(TEN, metric="kid")]
    for metrics in (("fdi",), ("kid", "fdi")):
        with pytest.raises(ValueError, match=r"^no metric is called 'fdi'; did you mean fid") as refused:
            compare(records, records, Rule(metrics=metrics))
        assert not isinstance(refused.value, NotComparableError)
    with pytest.raises(NotComparableError, match=r"takes part; measured are: fid, kid$"):
        compare(records, records, Rule(metrics=("recall",)))


@pytest.mark.parametrize("alpha", [0, 1, -0.1, float("nan")])
def test_an_alpha_that_is_no_chance_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        Rule(alpha=alpha)


@pytest.mark.parametrize("margin", [0, -0.1, float("inf"), float("nan")])
def test_a_margin_that_is_no_share_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="the margin must be a positive share"):
        Rule(margin=margin)
