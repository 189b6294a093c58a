"""The expected figures are worked by hand from c10/cuda/CUDACachingAllocator.cpp."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.memory import caching_allocator
from harness.memory.caching_allocator import MIB, Block, CachingAllocator, occupy, rounded_size
from harness.memory.timeline import Event, Timeline, bytes_held, peak
from tests.memory.test_timeline import timelines

few = settings(max_examples=80, deadline=None)
KIB = 1024

# Sizes around every border of the rules; a request is a size, and an answer to "which of those taken goes back".
sizes = st.one_of(
    st.integers(1, 3 * MIB),
    st.integers(1, 45 * MIB),
    st.sampled_from([512, MIB, 2 * MIB, 10 * MIB, 20 * MIB]).flatmap(lambda s: st.sampled_from([s - 1, s, s + 1])),
)
requests = st.lists(st.tuples(sizes, st.none() | st.integers(0, 1000)), max_size=40)


class Watched:
    """An allocator with what lives in it, the segments it got, and what must hold after every request."""

    def __init__(self, allocator: CachingAllocator) -> None:
        self.allocator = allocator
        self.taken: list[Block] = []
        self.segments: list[tuple[int, int]] = []

    def take(self, size: int) -> Block:
        before = self.allocator.reserved
        block = self.allocator.take(size)
        self.taken.append(block)
        if self.allocator.reserved != before:
            self.segments.append((before, self.allocator.reserved))
        self.check()
        return block

    def give_back(self, place: int) -> None:
        before = self.allocator.reserved
        self.allocator.give_back(self.taken.pop(place))
        assert self.allocator.reserved == before
        self.check()

    def serve(self, series: Sequence[tuple[int, int | None]]) -> None:
        for size, back in series:
            if back is None or not self.taken:
                self.take(size)
            else:
                self.give_back(back % len(self.taken))

    def check(self) -> None:
        spans = sorted((block.address, block.address + block.size) for block in self.taken)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), "blocks overlap"
        within = [any(low <= begin and end <= high for low, high in self.segments) for begin, end in spans]
        assert all(within), "a block lies across segments"
        assert self.allocator.allocated == sum(block.size for block in self.taken)
        assert self.allocator.allocated <= self.allocator.peak_allocated <= self.allocator.peak_reserved
        assert self.allocator.allocated <= self.allocator.reserved == self.allocator.peak_reserved

    def fill(self) -> None:
        """Take every byte of every segment again: in one piece, or in two where a small segment serves no more."""
        assert not self.taken
        for low, high in tuple(self.segments):
            for size in [MIB, MIB] if high - low == 2 * MIB else [high - low]:
                self.take(size)


def allocated(*wanted: int) -> int:
    allocator = CachingAllocator()
    for size in wanted:
        allocator.take(size)
    return allocator.allocated


def reserved(*wanted: int) -> int:
    allocator = CachingAllocator()
    for size in wanted:
        allocator.take(size)
    return allocator.reserved


@pytest.mark.parametrize(
    ("size", "rounded"), [(1, 512), (511, 512), (512, 512), (513, 1024), (MIB, MIB), (MIB + 1, MIB + 512)]
)
def test_sizes_are_rounded_up_to_512_bytes(size: int, rounded: int) -> None:
    assert rounded_size(size) == rounded == allocated(size)


@pytest.mark.parametrize(
    ("wanted", "segments"),
    [
        ([1], [2]),
        ([MIB], [2]),
        ([MIB] * 2, [2]),
        ([MIB] * 3, [2, 2]),
        ([512] * 4096, [2]),
        ([512] * 4097, [2, 2]),
        ([MIB + 1], [20]),
        ([10 * MIB - 512], [20]),
        ([5 * MIB] * 4, [20]),
        ([5 * MIB] * 5, [20, 20]),
        ([7 * MIB] * 3, [20, 20]),
        ([10 * MIB - 511], [10]),  # rounded up to 10 MiB
        ([10 * MIB], [10]),
        ([10 * MIB + 1], [12]),
        ([100 * MIB, 13 * MIB], [100, 14]),
        ([MIB + 1, 18 * MIB, 1], [20, 2]),
        ([1, MIB + 1, 19 * MIB], [2, 20, 20]),
    ],
)
def test_what_is_asked_of_the_driver(wanted: list[int], segments: list[int]) -> None:
    assert reserved(*wanted) == sum(segments) * MIB


@pytest.mark.parametrize(
    ("wanted", "blocks"),
    [
        ([10 * MIB + 1], 10 * MIB + 512),  # of 12 MiB, 2 MiB less 512 are left: cut
        ([11 * MIB - 512], 11 * MIB - 512),  # 1 MiB and 512 are left: cut
        ([11 * MIB - 511], 12 * MIB),  # 1 MiB is left: not cut, and counted whole
        ([11 * MIB + 1], 12 * MIB),
        ([19 * MIB // 2] * 2, 20 * MIB),  # the second would leave 1 MiB of the 20
        ([19 * MIB // 2, 19 * MIB // 2 - 512], 19 * MIB - 512),
        ([MIB, MIB - 512], 2 * MIB - 512),  # small blocks are cut down to the last 512 bytes
    ],
)
def test_a_block_is_cut_when_enough_is_left_and_else_counts_whole(wanted: list[int], blocks: int) -> None:
    assert allocated(*wanted) == blocks


def test_what_was_cut_off_serves_the_next() -> None:
    assert reserved(MIB, MIB - 512, 512) == 2 * MIB
    assert reserved(MIB, MIB - 512, 513) == 4 * MIB
    assert reserved(11 * MIB - 512, MIB + 1) == 12 * MIB
    assert reserved(11 * MIB, MIB + 1) == 32 * MIB, "nothing was cut off"


def test_the_smallest_block_that_fits_is_used_and_of_equals_the_first() -> None:
    allocator = CachingAllocator()
    six, two, four, other_two, other_six = (allocator.take(size * MIB) for size in (6, 2, 4, 2, 6))
    assert [block.address // MIB for block in (six, two, four, other_two, other_six)] == [0, 6, 8, 12, 14]
    for block in (other_six, six, four):
        allocator.give_back(block)
    fits = allocator.take(3 * MIB)
    assert (fits.address, fits.size) == (8 * MIB, 4 * MIB), "the four, uncut"
    assert allocator.take(3 * MIB).address == 0, "the first six, cut"
    rest = allocator.take(3 * MIB)
    assert (rest.address, rest.size) == (3 * MIB, 3 * MIB)
    assert allocator.take(3 * MIB).address == 14 * MIB
    assert allocator.reserved == 20 * MIB


def served_by_neighbours(allocator: CachingAllocator, order: Sequence[int]) -> int:
    """Reserved after pieces of 6, 6, 6 and 2 MiB went back in this order and all of it is asked for at once."""
    pieces = [allocator.take(size * MIB) for size in (6, 6, 6, 2)]
    for place in order:
        allocator.give_back(pieces[place])
    allocator.take(20 * MIB)
    return allocator.reserved


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 1, 3), (1, 3, 2, 0), (2, 0, 3, 1)])
def test_neighbours_are_joined_so_that_a_larger_request_fits(order: tuple[int, ...]) -> None:
    assert served_by_neighbours(CachingAllocator(), order) == 20 * MIB


def test_what_is_in_use_between_them_keeps_neighbours_apart() -> None:
    allocator = CachingAllocator()
    first, _, third = (allocator.take(5 * MIB) for _ in range(3))
    allocator.give_back(first)
    allocator.give_back(third)
    joined = allocator.take(10 * MIB - 512)
    assert (joined.address, allocator.reserved) == (10 * MIB, 20 * MIB), "the third and the rest behind it"
    allocator.take(6 * MIB)
    assert allocator.reserved == 40 * MIB


def test_segments_that_lie_side_by_side_are_not_joined() -> None:
    allocator = CachingAllocator()
    for block in [allocator.take(10 * MIB), allocator.take(10 * MIB)]:
        allocator.give_back(block)
    allocator.take(20 * MIB)
    assert allocator.reserved == 40 * MIB


def test_peaks_stay_until_they_are_reset() -> None:
    allocator = CachingAllocator()
    block = allocator.take(30 * MIB)
    allocator.take(KIB)
    allocator.give_back(block)
    assert (allocator.allocated, allocator.peak_allocated) == (KIB, 30 * MIB + KIB)
    allocator.reset_peaks()
    assert (allocator.peak_allocated, allocator.peak_reserved) == (KIB, 32 * MIB), "what was kept still counts"


def test_a_block_is_given_back_once() -> None:
    allocator = CachingAllocator()
    block = allocator.take(1)
    allocator.give_back(block)
    with pytest.raises(AssertionError, match="once"):
        allocator.give_back(block)


@given(requests)
@few
def test_blocks_never_overlap_and_everything_given_back_leaves_whole_segments(
    series: list[tuple[int, int | None]],
) -> None:
    watched = Watched(CachingAllocator())
    watched.serve(series)
    while watched.taken:
        watched.give_back(len(watched.taken) // 2)
    assert watched.allocator.allocated == 0
    before = watched.allocator.reserved
    watched.fill()
    assert watched.allocator.reserved == watched.allocator.allocated == before


@given(sizes, st.integers(1, 20))
@few
def test_what_fitted_once_fits_again(size: int, times: int) -> None:
    watched = Watched(CachingAllocator())
    watched.serve([(size, None)] * times)
    before = watched.allocator.reserved
    while watched.taken:
        watched.give_back(0)
    watched.serve([(size, None)] * times)
    assert watched.allocator.reserved == before


class NeverJoins(CachingAllocator):
    def give_back(self, block: Block) -> None:
        self.allocated -= block.size
        self._keep(block)


class NeverReuses(CachingAllocator):
    def _best_fit(self, rounded: int, small: bool) -> Block | None:  # noqa: ARG002
        return None


class FirstFit(CachingAllocator):
    def _best_fit(self, rounded: int, small: bool) -> Block | None:
        pool = self._free[small]
        fitting = [entry for entry in pool if entry[0] >= rounded]
        if not fitting:
            return None
        first = min(fitting, key=lambda entry: entry[1])
        pool.remove(first)
        return first[2]


class CutsAlways(CachingAllocator):
    def _cut(self, block: Block, rounded: int) -> None:
        was, block.small = block.small, True
        super()._cut(block, rounded)
        block.small = was
        if block.after is not None:
            block.after.small = was


def test_an_allocator_that_never_joins_is_caught() -> None:
    assert served_by_neighbours(NeverJoins(), (0, 1, 2, 3)) == 40 * MIB
    watched = Watched(NeverJoins())
    watched.serve([(5 * MIB, None), (5 * MIB, None), (1, 0), (1, 0)])
    watched.fill()
    assert watched.allocator.reserved == 40 * MIB


def test_an_allocator_that_never_reuses_is_caught() -> None:
    assert served_by_neighbours(NeverReuses(), (0, 1, 2, 3)) == 100 * MIB
    watched = Watched(NeverReuses())
    watched.serve([(KIB, None), (1, 0), (KIB, None)])
    assert watched.allocator.reserved == 4 * MIB


def test_an_allocator_that_uses_the_first_fit_is_caught() -> None:
    first, best = FirstFit(), CachingAllocator()
    for allocator in (first, best):
        six, _, four = (allocator.take(size * MIB) for size in (6, 2, 4))
        allocator.give_back(six)
        allocator.take(8 * MIB)  # what is behind the four
        allocator.give_back(four)
        allocator.take(4 * MIB)
        allocator.take(6 * MIB)
    assert (best.reserved, first.reserved) == (20 * MIB, 40 * MIB)


def test_an_allocator_that_always_cuts_is_caught() -> None:
    allocator = CutsAlways()
    allocator.take(11 * MIB)
    assert allocator.allocated == 11 * MIB != allocated(11 * MIB)


WORKED = Timeline(
    events=(
        Event(0, 1000),
        Event(1, 30 * MIB),
        Event(1, -30 * MIB),
        Event(2, 25 * MIB),
        Event(3, 3 * MIB),
        Event(2, -25 * MIB),
        Event(4, 11 * MIB),
        Event(3, -3 * MIB),
        Event(4, -11 * MIB),
        Event(5, 1),
    ),
    begin=3,
    kinds={},
)


def test_occupancy_as_worked_by_hand() -> None:
    found = occupy(WORKED)
    # 2 MiB for the small ones; of the 30 that were kept 25 are used and 5 left, which the 3 are cut from.
    assert found.peak_reserved == 32 * MIB
    assert found.peak_allocated == 1024 + 25 * MIB + 3 * MIB
    assert (found.index, found.blocks) == (4, {0: 1024, 2: 25 * MIB, 3: 3 * MIB})
    assert found.between_steps == 1024 + 512


def test_a_step_that_takes_nothing_occupies_what_it_found() -> None:
    found = occupy(Timeline(WORKED.events[:3], 3, {}))
    assert (found.peak_allocated, found.peak_reserved, found.between_steps) == (1024, 32 * MIB, 1024)
    assert (found.index, found.blocks) == (2, {0: 1024})
    assert occupy(Timeline((), 0, {})).blocks == {}


@given(timelines(most=15 * MIB))
@few
def test_occupancy_is_what_a_walk_through_the_events_finds(timeline: Timeline) -> None:
    allocator, blocks = CachingAllocator(), dict[int, Block]()
    totals, at_peak = [0], [dict[int, int]()]
    for event in timeline.events:
        if event.size > 0:
            blocks[event.storage] = allocator.take(event.size)
        else:
            allocator.give_back(blocks.pop(event.storage))
        totals.append(allocator.allocated)
        at_peak.append({storage: block.size for storage, block in blocks.items()})
    found = occupy(timeline)
    assert found.peak_allocated == max(totals[timeline.begin :]) == totals[found.index + 1]
    assert found.blocks == at_peak[found.index + 1]
    assert sum(found.blocks.values()) == found.peak_allocated
    assert found.peak_reserved == allocator.reserved
    assert found.between_steps == totals[-1] >= bytes_held(timeline.events)
    assert found.peak_allocated >= peak(timeline).size


@given(timelines(most=15 * MIB))
@few
def test_reserved_counts_what_was_taken_before_the_step(timeline: Timeline) -> None:
    as_one_step = dataclasses.replace(timeline, begin=0)
    assert occupy(as_one_step).peak_reserved == occupy(timeline).peak_reserved
    assert occupy(as_one_step).peak_allocated >= occupy(timeline).peak_allocated


def test_the_sizes_are_those_of_the_installed_pytorch() -> None:
    """They stand in a header that comes with it; where another version keeps them elsewhere, nobody can say."""
    header = Path(torch.__file__).parent / "include" / "c10" / "core" / "AllocatorConfig.h"
    if not header.is_file():
        pytest.skip(f"this PyTorch has no {header.name}")
    printed = dict(re.findall(r"constexpr size_t (k\w+) = (\d+);", header.read_text(encoding="utf-8")))
    ours = {
        "kMinBlockSize": caching_allocator._ROUNDED_TO,
        "kSmallSize": caching_allocator._SMALL,
        "kSmallBuffer": caching_allocator._SMALL_SEGMENT,
        "kMinLargeAlloc": caching_allocator._OWN_SEGMENT,
        "kRoundLarge": caching_allocator._SEGMENTS_ROUNDED_TO,
    }
    assert {name: int(printed[name]) for name in ours} == ours
