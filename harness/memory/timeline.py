"""Who took memory when, and gave it back: a list of events, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """`size` bytes taken for `storage` (negative: given back), a number that no other storage of the timeline has.

    `layer` and `operator` say who was at work when they were taken.
    """

    storage: int
    size: int
    layer: str = ""
    operator: str = ""


@dataclass(frozen=True)
class Timeline:
    """Everything from the first network's first parameter on; the last step is `events[begin:]`.

    `kinds` says of storages what they hold ("weights", …); one that isn't there holds something else.
    """

    events: tuple[Event, ...]
    begin: int
    kinds: Mapping[int, str]

    def without(self, left_out: Collection[int]) -> Timeline:
        """The same, as if these storages had never been taken."""
        before = sum(event.storage not in left_out for event in self.events[: self.begin])
        kept = tuple(event for event in self.events if event.storage not in left_out)
        return Timeline(kept, before, self.kinds)

    def of_kind(self, kind: str) -> set[int]:
        """The storages that hold this."""
        return {storage for storage, bytes_held in self.kinds.items() if bytes_held == kind}


@dataclass(frozen=True)
class Peak:
    """The most that was taken at once during the last step: `size` bytes, reached with `events[index]`."""

    size: int
    index: int


def peak(timeline: Timeline) -> Peak:
    """The most that the last step holds at once, in the bytes that were asked for.

    What was taken before it and never given back counts. A step that takes nothing peaks at what it found (index
    `begin` − 1).
    """
    total = bytes_held(timeline.events[: timeline.begin])
    found = Peak(total, timeline.begin - 1)
    for index, event in enumerate(timeline.events[timeline.begin :], timeline.begin):
        total += event.size
        if total > found.size:
            found = Peak(total, index)
    return found


def bytes_held(events: Iterable[Event]) -> int:
    """Bytes taken and not given back."""
    return sum(event.size for event in events)


def live(events: Sequence[Event], index: int) -> dict[int, int]:
    """Size by storage of everything that is taken after `events[index]`."""
    sizes: dict[int, int] = {}
    for event in events[: index + 1]:
        sizes[event.storage] = sizes.get(event.storage, 0) + event.size
    return {storage: size for storage, size in sizes.items() if size}


def split(sizes: Mapping[int, int], kinds: Mapping[int, str], otherwise: str) -> dict[str, int]:
    """`sizes` by storage, added up by what the storages hold; largest first."""
    totals: dict[str, int] = {}
    for storage, size in sizes.items():
        kind = kinds.get(storage, otherwise)
        totals[kind] = totals.get(kind, 0) + size
    return dict(sorted(totals.items(), key=lambda item: -item[1]))
