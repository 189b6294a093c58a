"""PyTorch's caching allocator for CUDA, computed: what it hands out and keeps for a given series of requests.

It follows c10/cuda/CUDACachingAllocator.cpp as of PyTorch 2.9 to 2.15 with its default settings: sizes are rounded
up to 512 bytes; the smallest free block that is large enough is used, and cut when enough is left; a new segment is
asked of the driver when no block fits; a block that is given back is joined with its free neighbours and kept.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.memory.timeline import Event, Timeline

MIB = 2**20
_ROUNDED_TO = 512
_SMALL = MIB  # requests up to this size come from the small pool
_SMALL_SEGMENT = 2 * MIB
_LARGE_SEGMENT = 20 * MIB
_OWN_SEGMENT = 10 * MIB  # from this size on a request gets a segment of its own
_SEGMENTS_ROUNDED_TO = 2 * MIB


@dataclass(eq=False)
class Block:
    """A piece of a segment: `size` bytes from `address`, between its neighbours in the same segment."""

    address: int
    size: int
    small: bool
    free: bool = False
    before: Block | None = field(default=None, repr=False)
    after: Block | None = field(default=None, repr=False)


class CachingAllocator:
    """Counts `allocated` and `reserved` bytes as torch.cuda.memory_stats does, and the peaks of both."""

    def __init__(self) -> None:
        self.allocated = self.peak_allocated = 0
        self.reserved = self.peak_reserved = 0
        self._end = 0
        self._free: dict[bool, list[tuple[int, int, Block]]] = {True: [], False: []}

    def take(self, size: int) -> Block:
        """A block for `size` > 0 bytes."""
        rounded = rounded_size(size)
        small = rounded <= _SMALL
        block = self._best_fit(rounded, small) or self._new_segment(rounded, small)
        self._cut(block, rounded)
        block.free = False
        self.allocated += block.size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        return block

    def give_back(self, block: Block) -> None:
        """Keep `block` for later requests, joined with its free neighbours."""
        assert not block.free, "a block is given back once"
        self.allocated -= block.size
        if block.before is not None and block.before.free:
            self._drop(block.before)
            block.address, block.size = block.before.address, block.before.size + block.size
            block.before = block.before.before
            if block.before is not None:
                block.before.after = block
        if block.after is not None and block.after.free:
            self._drop(block.after)
            block.size += block.after.size
            block.after = block.after.after
            if block.after is not None:
                block.after.before = block
        self._keep(block)

    def reset_peaks(self) -> None:
        """As torch.cuda.reset_peak_memory_stats."""
        self.peak_allocated, self.peak_reserved = self.allocated, self.reserved

    def _best_fit(self, rounded: int, small: bool) -> Block | None:
        pool = self._free[small]
        place = bisect.bisect_left(pool, rounded, key=lambda entry: entry[0])
        if place == len(pool):
            return None
        return pool.pop(place)[2]

    def _new_segment(self, rounded: int, small: bool) -> Block:
        size = _segment_size(rounded)
        block = Block(self._end, size, small)
        self._end += size
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return block

    def _cut(self, block: Block, rounded: int) -> None:
        """Leave the rest of `block` free, if it is worth it."""
        rest = block.size - rounded
        if rest < _ROUNDED_TO if block.small else rest <= _SMALL:
            return
        remaining = Block(block.address + rounded, rest, block.small, before=block, after=block.after)
        if block.after is not None:
            block.after.before = remaining
        block.after, block.size = remaining, rounded
        self._keep(remaining)

    def _keep(self, block: Block) -> None:
        block.free = True
        bisect.insort(self._free[block.small], (block.size, block.address, block), key=lambda entry: entry[:2])

    def _drop(self, block: Block) -> None:
        pool = self._free[block.small]
        del pool[bisect.bisect_left(pool, (block.size, block.address), key=lambda entry: entry[:2])]


@dataclass(frozen=True)
class Occupancy:
    """Bytes that the allocator holds during the last step of a timeline.

    `blocks` are the sizes, by storage, of the blocks behind what is live at the peak of `allocated`; `index` is the
    event that reaches it.
    """

    peak_allocated: int
    peak_reserved: int
    between_steps: int
    blocks: dict[int, int]
    index: int


def occupy(timeline: Timeline) -> Occupancy:
    """What the allocator would hold for this series of requests."""
    allocator, taken = CachingAllocator(), dict[int, Block]()
    for event in timeline.events[: timeline.begin]:
        _serve(allocator, taken, event)
    allocator.reset_peaks()
    index, highest = timeline.begin - 1, allocator.allocated
    for place, event in enumerate(timeline.events[timeline.begin :], timeline.begin):
        _serve(allocator, taken, event)
        if allocator.peak_allocated > highest:
            index, highest = place, allocator.peak_allocated
    blocks = _blocks_after(timeline.events[: index + 1])
    return Occupancy(allocator.peak_allocated, allocator.peak_reserved, allocator.allocated, blocks, index)


def rounded_size(size: int) -> int:
    """`size` bytes rounded up as the allocator does."""
    return -(-max(size, 1) // _ROUNDED_TO) * _ROUNDED_TO


def _segment_size(rounded: int) -> int:
    if rounded <= _SMALL:
        return _SMALL_SEGMENT
    if rounded < _OWN_SEGMENT:
        return _LARGE_SEGMENT
    return -(-rounded // _SEGMENTS_ROUNDED_TO) * _SEGMENTS_ROUNDED_TO


def _blocks_after(events: Sequence[Event]) -> dict[int, int]:
    allocator, taken = CachingAllocator(), dict[int, Block]()
    for event in events:
        _serve(allocator, taken, event)
    return {storage: block.size for storage, block in taken.items()}


def _serve(allocator: CachingAllocator, taken: dict[int, Block], event: Event) -> None:
    if event.size > 0:
        taken[event.storage] = allocator.take(event.size)
    elif event.size < 0:
        allocator.give_back(taken.pop(event.storage))
