from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.records.record import Record
from harness.reporting.scorecard import decide_claim
from reference import Claim, at_most
from tests.records.test_record import record

CLAIM = Claim("c", "p", "s", "d", "m", at_most(2), epochs=20, needs_data=True)


def measured(value: float, **changes: Any):  # type: ignore[no-untyped-def]
    return record(value=value, **({"epochs": 20.0} | changes))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([1, 2, 2], "reproduced"), ([1, 3, 2], "partly"), ([3, 4], "not reproduced"), ([], "not measured")],
)
def test_verdicts(values: list[float], verdict: str) -> None:
    decided = decide_claim("toy-grid", CLAIM, [measured(v, seed=i) for i, v in enumerate(values)])
    assert decided.verdict == verdict
    assert decided.values == tuple(values)
    assert decided.holding == sum(v <= 2 for v in values)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epochs": 3.0}, "trained for 3 epochs, the claim takes 20"),
        ({"epochs": None}, "trained for 0 epochs"),
        (
            {"real_data": False, "data": "stand-in: x"},
            "about all of the real data, measured was stand-in: x",
        ),
        ({"status": "skipped", "value": None, "reason": "no GPU"}, "no GPU"),
        ({"status": "failed", "value": None, "reason": "crashed"}, "crashed"),
        ({"metric": "other"}, "no record of m"),
        ({"reference": "other"}, "no record of m"),
        ({"status": "estimated"}, "no record of m"),
        ({"status": "simulated", "reason": "a disk"}, "simulated, which decides nothing: 1, a disk"),
    ],
)
def test_what_does_not_decide_gives_its_reason(changes: dict[str, Any], reason: str) -> None:
    decided = decide_claim(
        "toy-grid", CLAIM, [measured(1.0, **changes)] if "value" not in changes else [record(**changes)]
    )
    assert decided.verdict == "not measured"
    assert reason in decided.reason


def test_a_value_that_decides_is_not_outvoted_by_ones_that_do_not() -> None:
    decided = decide_claim("toy-grid", CLAIM, [measured(5.0, epochs=1.0), measured(1.0)])
    assert (decided.verdict, decided.values) == ("reproduced", (1.0,))


def test_a_seed_that_crashed_keeps_a_claim_from_being_reproduced() -> None:
    crashed = record(metric="test_modes", value=None, status="failed", reason="loss is nan", seed=2)
    decided = decide_claim("toy-grid", CLAIM, [measured(1.0, seed=0), measured(1.0, seed=1), crashed])
    assert (decided.verdict, decided.reason) == ("partly", "seed 2: loss is nan")
    alone = decide_claim("toy-grid", CLAIM, [crashed])
    assert (alone.verdict, alone.reason) == ("not measured", "test_modes failed: loss is nan")
    undefined = record(value=None, status="skipped", reason="no sample in any mode", seed=1)
    assert decide_claim("toy-grid", CLAIM, [measured(1.0, seed=0), undefined]).verdict == "partly"


def test_a_claim_with_an_obstacle_is_never_decided() -> None:
    claim = dataclasses.replace(CLAIM, obstacle="needs trained weights")
    decided = decide_claim("toy-grid", claim, [measured(1.0)])
    assert (decided.verdict, decided.reason) == ("not measured", "needs trained weights")


VERSUS = Claim("c", "p", "s", "d", "m", at_most(0.5), versus="other-grid")


def others(*values: float, extractor: str = "facesnet 1") -> list[Record]:
    return [
        measured(v, reference="other-grid", seed=i, protocol={"extractor": extractor}) for i, v in enumerate(values)
    ]


def own(*values: float) -> list[Record]:
    return [measured(v, seed=i, protocol={"extractor": "facesnet 1"}) for i, v in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "ratios", "verdict"),
    [((1, 2), (0.25, 0.5), "reproduced"), ((1, 4), (0.25, 1), "partly"), ((4, 8), (1, 2), "not reproduced")],
)
def test_a_claim_against_another_is_decided_by_the_ratio_to_its_median(
    values: tuple[float, ...], ratios: tuple[float, ...], verdict: str
) -> None:
    decided = decide_claim("toy-grid", VERSUS, own(*values) + others(3, 4, 100))
    assert (decided.verdict, decided.values) == (verdict, ratios)


@pytest.mark.parametrize(
    "missing",
    [
        [],
        others(2, extractor="facesnet 2"),
        [measured(2, reference="other-grid", metric="n")],
        [measured(2, reference="third-grid", protocol={"extractor": "facesnet 1"})],
        [record(value=None, reference="other-grid", status="failed", reason="crashed")],
    ],
)
def test_a_claim_against_another_that_was_not_measured_alike_is_not_decided(missing: list[Record]) -> None:
    decided = decide_claim("toy-grid", VERSUS, own(1) + missing)
    assert (decided.verdict, decided.values) == ("not measured", ())
    assert decided.reason == "nothing to hold it against: no such m of other-grid"


def test_what_does_not_decide_a_claim_does_not_count_for_the_other_either() -> None:
    claim = dataclasses.replace(VERSUS, epochs=20)
    short = [dataclasses.replace(r, epochs=1.0) for r in others(2)]
    assert decide_claim("toy-grid", claim, own(1) + short).verdict == "not measured"
    assert decide_claim("toy-grid", claim, own(1) + short + others(10)).values == (0.1,)


def test_without_values_of_its_own_a_claim_against_another_says_so() -> None:
    decided = decide_claim("toy-grid", VERSUS, others(2))
    assert (decided.verdict, decided.reason) == ("not measured", "no record of m")


def test_what_was_measured_of_a_reduced_form_is_named() -> None:
    small = measured(1.0, reference="toy-grid@size=4")
    decided = decide_claim("toy-grid", CLAIM, [small])
    assert decided.reason == "measured was toy-grid@size=4, which is another system"


@pytest.mark.parametrize(
    ("changes", "facts", "reason"),
    [
        ({"n_at_least": 100}, {"n": 99}, "of 99 samples, the claim takes 100"),
        ({"n_at_least": 100}, {"n": 100}, ""),
        ({"extractor": "mnistnet"}, {"protocol": {"extractor": "facesnet 01"}}, "looked at by facesnet 01"),
        ({"extractor": "mnistnet"}, {"protocol": {"extractor": "mnistnet 01"}}, ""),
        ({"where": {"numerics": "x"}}, {"protocol": {"numerics": "y"}}, "numerics: y, the claim is about x"),
        ({"where": {"numerics": "x"}}, {"protocol": {"numerics": "x"}}, ""),
    ],
)
def test_a_value_under_other_conditions_decides_nothing(
    changes: dict[str, Any], facts: dict[str, Any], reason: str
) -> None:
    claim = dataclasses.replace(CLAIM, **changes)
    decided = decide_claim("toy-grid", claim, [measured(1.0, **facts)])
    assert (decided.verdict == "reproduced") is not bool(reason)
    assert reason in decided.reason
