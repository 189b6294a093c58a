from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import (
    Card,
    Claim,
    Condition,
    Deviation,
    LogSchedule,
    Modes,
    OptimizerCard,
    at_least,
    at_most,
    between,
    exactly,
)

SHORT = Card(name="mine", data_shape=(3, 8, 8), batch_size=4, epochs=2)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite, finite)
def test_between_holds_inside_only(a: float, b: float, x: float) -> None:
    low, high = min(a, b), max(a, b)
    assert between(low, high).holds(x) == (low <= x <= high)
    assert at_least(a).holds(x) == (x >= a)
    assert at_most(a).holds(x) == (x <= a)
    assert exactly(a).holds(x) == (x == a)


def test_nan_satisfies_nothing() -> None:
    assert not Condition().holds(math.nan)


@pytest.mark.parametrize(("low", "high"), [(2, 1), (math.nan, 1), (0, math.nan)])
def test_impossible_conditions_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="minimum <= maximum"):
        Condition(low, high)


def test_conditions_read_as_a_person_writes_them() -> None:
    assert [str(c) for c in (exactly(9), at_most(0.35), at_least(3), between(1, 2))] == [
        "= 9",
        "≤ 0.35",
        "≥ 3",
        "1 to 2",
    ]


def test_log_schedules_count_from_one() -> None:
    every_300 = LogSchedule(every=300, first=300)
    assert [s for s in range(1, 601) if every_300.includes(s)] == [300, 600]
    every_50 = LogSchedule(every=50, first=1)
    assert [s for s in range(1, 120) if every_50.includes(s)] == [1, 51, 101]


@pytest.mark.parametrize("name", [n for n in reference.names() if not n.startswith("toy-")])
def test_every_card_is_complete(name: str) -> None:
    card = reference.get(name).card
    assert card.claims
    assert card.deviations
    assert card.source
    assert card.document in ("000", "001", "002", "003", "004", "own", "none")
    for variant in card.variants:
        reference.get(f"{name}@{variant}")


def test_deviations_must_be_numbered_in_order() -> None:
    card = reference.get("mlp-gan-mnist").card
    with pytest.raises(ValueError, match="numbered 1, 2, 3"):
        dataclasses.replace(card, deviations=(Deviation(2, "repair", "x"),))


def test_claims_must_have_different_identifiers() -> None:
    card = reference.get("mlp-gan-mnist").card
    claim = Claim("a", "p", "s", "d", "m", exactly(1))
    with pytest.raises(ValueError, match="share an identifier"):
        dataclasses.replace(card, claims=(claim, claim))


def test_name_shape_batch_and_epochs_suffice() -> None:
    short = Card(name="mine", data_shape=(3, 8, 8), batch_size=4, epochs=2)
    assert (short.dataset, short.data_range, short.seed, short.drop_last) == ("own", (-1.0, 1.0), 0, False)
    assert short.optimizer_of("generator") is None


def test_an_optimiser_for_all_or_one_for_each() -> None:
    adam, sgd = OptimizerCard("Adam", 1e-3, (0.5, 0.999)), OptimizerCard("SGD", 0.1)
    both = dataclasses.replace(SHORT, optimizer=adam)
    each = dataclasses.replace(SHORT, optimizer={"generator": adam, "critic": sgd})
    assert both.optimizer_of("critic") == adam
    assert (each.optimizer_of("critic"), each.optimizer_of("other")) == (sgd, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_shape": ()}, "the card of 'mine': data_shape must hold sizes, not ()"),
        ({"data_shape": (3, 0, 8)}, "data_shape must hold sizes"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"data_range": (1.0, -1.0)}, "data_range must be (low, high)"),
    ],
)
def test_a_card_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        dataclasses.replace(SHORT, **changes)
    assert said in str(error.value)


def test_modes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="modes need centres"):
        Modes((), 0.1)
    with pytest.raises(ValueError, match="the deviation of modes must be positive, not 0"):
        Modes(((0.0, 1.0),), 0)
