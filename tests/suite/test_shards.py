from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.suite.shards import Shard, dealt, parse_shard

COSTS = st.lists(st.floats(0, 1e6), max_size=40)


@given(COSTS, st.integers(1, 9))
def test_everything_is_dealt_once_and_no_hand_is_much_too_full(costs: list[float], hands: int) -> None:
    found = dealt(costs, hands)
    assert len(found) == hands
    assert sorted(index for hand in found for index in hand) == list(range(len(costs)))
    assert dealt(costs, hands) == found
    # Graham's bound, against what no way of dealing can beat.
    least = max([sum(costs) / hands, *costs]) if costs else 0.0
    assert max(sum(costs[index] for index in hand) for hand in found) <= 2 * least + 1e-6


def test_the_largest_go_first() -> None:
    assert dealt([3, 3, 2, 2, 2], 2) == [[0, 3], [1, 2, 4]] or dealt([3, 3, 2, 2, 2], 2) == [[0, 2, 4], [1, 3]]
    assert dealt([1, 9, 1], 2) == [[1], [0, 2]]


def test_a_shard_is_read_as_it_is_written() -> None:
    assert parse_shard(" 3/8 ") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/", "/8", "a/b", "-1/8", "1/0", ""])
def test_what_is_no_shard_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="--shard takes I/N with I from 1 to N, not "):
        parse_shard(text)
