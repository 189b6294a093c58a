"""The search on a card, which is played."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import harness.memory.batch_size as batch_size_module
from harness.memory.batch_size import (
    SearchResult,
    Trial,
    largest_that_fits,
    on_device,
)
from harness.memory.measure import Cell, Measured
from reference import get
from tests.comparison.test_compare import called
from tests.logs import hearing
from tests.memory.test_batch_size import MLP, SAMPLES, one_line, reserved

pytestmark = pytest.mark.usefixtures("estimates_once")


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 3), st.integers(-5, 4000))
def test_a_guess_changes_the_way_and_not_the_answer(threshold: int, limit: int, start: int, guess: int) -> None:
    asked: list[int] = []

    def fits(number: int) -> bool:
        asked.append(number)
        return number <= threshold

    found = largest_that_fits(fits, limit, start, guess)
    assert found == max((n for n in range(start, limit + 1) if n <= threshold), default=0)
    assert len(set(asked)) == len(asked), "each number is asked for at most once"
    assert all(start <= number <= limit for number in asked)


@given(st.integers(1000, 2**20), st.floats(0.97, 1.03))
def test_a_good_guess_saves_most_of_the_questions(threshold: int, off: float) -> None:
    """Within 3 %: at most six steps away from it, and what bisects a gap of a 16th."""
    asked: list[int] = []

    def fits(number: int) -> bool:
        asked.append(number)
        return number <= threshold

    assert largest_that_fits(fits, 2**21, guess=round(threshold * off)) == threshold
    assert len(asked) <= 6 + math.log2(threshold / 16) + 1


class Card:
    """A card of `memory` bytes: cells that need more end as `ends` says. `seconds` pass with each."""

    def __init__(self, memory: int, ends: str = "out of memory", seconds: float = 0.0) -> None:
        self.memory, self.ends, self.seconds = memory, ends, seconds
        self.now = 0.0
        self.hangs_at = 0
        self.asked: list[int] = []

    def measure(self, cell: Cell, patience: float) -> Measured:
        self.asked.append(cell.batch_size)
        if cell.batch_size == self.hangs_at:
            self.now += patience
            return Measured(ended=f"no answer within {patience:.0f} s: the process was ended")
        self.now += self.seconds
        assert not cell.traced, "a search needs no tensors followed"
        if reserved(cell.batch_size) <= self.memory:
            return Measured(step_ms=(1.0, 2.0), peak_reserved=reserved(cell.batch_size), available=self.memory)
        if self.ends.startswith("raise "):
            raise RuntimeError(self.ends.removeprefix("raise "))
        return Measured(ended=self.ends, available=self.memory)


def searched(
    card: Card, monkeypatch: pytest.MonkeyPatch, seconds: float = math.inf
) -> tuple[SearchResult, list[Trial]]:
    monkeypatch.setattr(batch_size_module, "measure_cell", card.measure)
    monkeypatch.setattr(time, "monotonic", lambda: card.now)
    with hearing() as said:
        found = on_device(Cell(MLP, 1, "cuda"), get(MLP), SAMPLES, seconds)
    assert said == [f"batch {one.batch_size}: {one.verdict}" for one in found.tried], "each is said as it is tried"
    return found, list(found.tried)


def test_trying_begins_at_the_estimate_and_takes_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(2**30)
    found, tried = searched(card, monkeypatch)
    assert found.complete
    assert reserved(found.batch_size) <= 2**30 < reserved(found.batch_size + 1)
    assert found.guess == found.batch_size, "this card computes as the estimate does"
    assert card.asked == [1, found.guess, *card.asked[2:]]
    assert len(card.asked) < 15 < 2 * math.log2(found.batch_size)
    assert [one.batch_size for one in tried] == card.asked


@pytest.mark.parametrize(
    "ends", ["raise mat1 and mat2", "raise CUDA error: misaligned address", "too large for PyTorch's kernels: x"]
)
def test_a_step_that_fails_beyond_some_size_does_not_end_the_search(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = searched(Card(2**30, ends), monkeypatch)
    assert reserved(found.batch_size) <= 2**30 < reserved(found.batch_size + 1)
    assert {one.why for one in tried if not one.fits} == {ends.removeprefix("raise ")}


def test_a_step_that_fails_for_a_single_sample_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^mlp-gan-mnist can't be tried: already at batch 1, no kernel image"):
        searched(Card(0, "raise no kernel image is available"), monkeypatch)
    nothing, _ = searched(Card(0), monkeypatch)
    assert (nothing.batch_size, nothing.guess, nothing.complete) == (0, None, True), "out of memory is an answer"
    engine = "out of memory: GET was unable to find an engine to execute this computation"
    with pytest.raises(ValueError, match="can't be tried"):
        searched(Card(0, engine), monkeypatch)


def test_when_the_time_is_over_the_answer_is_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(2**30, seconds=10)
    found, tried = searched(card, monkeypatch, seconds=35)
    assert len(tried) == 4
    assert not found.complete
    assert found.batch_size == max(one.batch_size for one in tried if one.fits)
    assert searched(Card(2**30, seconds=10), monkeypatch, seconds=1)[0].batch_size == 1, "one size is always tried"


def test_a_card_that_hangs_ends_the_search_and_narrows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(2**30)
    card.hangs_at = searched(Card(2**30), monkeypatch)[0].guess or 0
    found, tried = searched(card, monkeypatch, seconds=100)
    assert (found.batch_size, found.guess, found.complete) == (1, card.hangs_at, False)
    assert tried[-1].why == "no answer within 100 s: the process was ended", "no longer than is left"


def test_a_card_with_less_room_than_the_estimate_wants_for_one_sample_is_searched_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The smallest batch has run, whatever the estimate says."""
    card = Card(2**30)
    monkeypatch.setattr(batch_size_module, "within_budget", refuse)
    found, _ = searched(card, monkeypatch)
    assert (found.guess, found.complete) == (1, True)
    assert reserved(found.batch_size) <= 2**30 < reserved(found.batch_size + 1)


def refuse(*_: object) -> int:
    raise ValueError("a budget of 0.1 MiB holds no batch")


@pytest.mark.parametrize("limit", ["0", "-3", "nan"])
def test_a_time_limit_is_some_time(
    limit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "batch-size", MLP, "--time-limit", limit) == 2
    one_line(capsys, "--time-limit must be more than 0 seconds")


@pytest.mark.parametrize(
    ("hung", "limit", "said"),
    [
        (True, (), "no answer within 320 s: the process was ended at batch 9"),
        (False, ("--time-limit", "5"), "its time"),
    ],
)
def test_a_search_that_was_cut_short_says_why(
    hung: bool, limit: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also without a limit: a card that hangs ends it."""
    last = Trial(9, False, why="no answer within 320 s: the process was ended" if hung else "out of memory")

    def search(*given: Any) -> SearchResult:
        assert len(given) == 4
        return SearchResult(1, (last,), 9, complete=False)

    monkeypatch.setattr("harness.training.device.resolve_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(batch_size_module, "on_device", search)
    assert called(monkeypatch, "batch-size", MLP, *limit) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"the search was cut short, {said}" in told
    assert "a larger one may fit" in told
