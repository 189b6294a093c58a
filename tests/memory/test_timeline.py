from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.memory.timeline import Event, Peak, Timeline, bytes_held, live, peak, split

few = settings(max_examples=60, deadline=None)

# Before the step 100 bytes of weights and 7 of something that goes again; in it 40, then 60 for which the 40 make way,
# then 5 that stay.
WORKED = Timeline(
    events=(
        Event(0, 100),
        Event(1, 7),
        Event(1, -7),
        Event(2, 40, "first", "mm"),
        Event(3, 60, "second", "mm"),
        Event(2, -40),
        Event(4, 5),
        Event(3, -60),
    ),
    begin=3,
    kinds={0: "weights", 2: "outputs", 3: "outputs"},
)


@st.composite
def timelines(draw: st.DrawFn, most: int = 5000) -> Timeline:
    """Storages that are taken once and given back once at most, up to `most` bytes each."""
    events: list[Event] = []
    alive: dict[int, int] = {}
    for number, back in enumerate(draw(st.lists(st.booleans(), max_size=30))):
        if back and alive:
            storage = draw(st.sampled_from(sorted(alive)))
            events.append(Event(storage, -alive.pop(storage)))
        else:
            alive[number] = draw(st.integers(1, most))
            events.append(Event(number, alive[number]))
    kinds = {event.storage: draw(st.sampled_from("abc")) for event in events if event.storage % 4}
    return Timeline(tuple(events), draw(st.integers(0, len(events))), kinds)


def test_the_peak_as_worked_by_hand() -> None:
    assert peak(WORKED) == Peak(200, 4)
    assert live(WORKED.events, 4) == {0: 100, 2: 40, 3: 60}
    assert live(WORKED.events, 7) == {0: 100, 4: 5}
    assert bytes_held(WORKED.events) == 105
    assert bytes_held(()) == 0


def test_what_was_given_back_before_the_step_plays_no_part() -> None:
    large_before = (Event(8, 10_000), Event(8, -10_000), *WORKED.events)
    assert peak(Timeline(large_before, 5, {})) == Peak(200, 6)


def test_of_two_equal_peaks_the_first_counts() -> None:
    events = (Event(0, 5), Event(0, -5), Event(1, 5), Event(1, -5))
    assert peak(Timeline(events, 0, {})) == Peak(5, 0)


@pytest.mark.parametrize("begin", [0, 2])
def test_a_step_that_takes_nothing_peaks_at_what_it_found(begin: int) -> None:
    events = (Event(0, 5), Event(1, 6))[:begin]
    assert peak(Timeline(events, begin, {})) == Peak(bytes_held(events), begin - 1)
    assert live(events, begin - 1) == {0: 5, 1: 6} if begin else live(events, begin - 1) == {}
    gives_back = (Event(0, 5), Event(1, 6), Event(0, -5))
    assert peak(Timeline(gives_back, 2, {})) == Peak(11, 1)


def test_a_storage_that_grows_is_counted_with_its_new_size() -> None:
    events = (Event(0, 5), Event(0, -5), Event(0, 9), Event(1, 1))
    assert live(events, 3) == {0: 9, 1: 1}
    assert live(events, 1) == {}


def test_without_some_storages_the_step_begins_at_the_same_place() -> None:
    assert WORKED.without({1, 2}) == Timeline(
        (Event(0, 100), Event(3, 60, "second", "mm"), Event(4, 5), Event(3, -60)), 1, WORKED.kinds
    )
    assert peak(WORKED.without({1, 2})) == Peak(165, 2)
    assert WORKED.of_kind("outputs") == {2, 3}
    assert WORKED.of_kind("nothing") == set()


def test_parts_come_largest_first_and_what_has_no_kind_is_something_else() -> None:
    parts = split({0: 100, 2: 40, 3: 70, 4: 5}, WORKED.kinds, "else")
    assert list(parts.items()) == [("outputs", 110), ("weights", 100), ("else", 5)]
    assert split({}, WORKED.kinds, "else") == {}


@given(timelines())
@few
def test_the_peak_is_the_most_that_is_live_from_the_step_on(timeline: Timeline) -> None:
    found = peak(timeline)
    totals = [sum(live(timeline.events, place).values()) for place in range(timeline.begin - 1, len(timeline.events))]
    assert found.size == max(totals) == totals[found.index - timeline.begin + 1]
    assert found.size >= bytes_held(timeline.events[: timeline.begin])


@given(timelines())
@few
def test_leaving_out_nothing_changes_nothing_and_leaving_out_all_leaves_nothing(timeline: Timeline) -> None:
    assert timeline.without(()) == timeline
    everything = timeline.without({event.storage for event in timeline.events})
    assert everything == Timeline((), 0, timeline.kinds)
    assert peak(everything) == Peak(0, -1)


@given(timelines(), st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29)))
@few
def test_storages_left_out_lower_the_peak_by_their_size_at_most(
    timeline: Timeline, some: set[int], more: set[int]
) -> None:
    less = timeline.without(some)
    sizes = sum(event.size for event in timeline.events if event.size > 0 and event.storage in some)
    assert peak(timeline).size - sizes <= peak(less).size <= peak(timeline).size
    assert less.without(more) == timeline.without(some | more)
    assert less.begin == sum(event.storage not in some for event in timeline.events[: timeline.begin])


@given(timelines())
@few
def test_parts_sum_to_what_is_live(timeline: Timeline) -> None:
    last = len(timeline.events) - 1
    sizes = live(timeline.events, last)
    assert sum(sizes.values()) == bytes_held(timeline.events)
    parts = split(sizes, timeline.kinds, "else")
    assert sum(parts.values()) == bytes_held(timeline.events)
    assert list(parts.values()) == sorted(parts.values(), reverse=True)
    for kind in "abc":
        assert parts.get(kind, 0) == sum(sizes.get(storage, 0) for storage in timeline.of_kind(kind))
