"""One run in parts, for job arrays and CI matrices: how work is dealt, the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FORM = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """The part `number` of `count`, from 1 on.

    Raises:
        ValueError: there is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"--shard takes I/N with I from 1 to N, not {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """A shard, of `3/8`.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"--shard takes I/N with I from 1 to N, not {text!r}")
    return Shard(int(found[1]), int(found[2]))


def dealt(costs: Sequence[float], hands: int) -> list[list[int]]:
    """Which of the costs each hand gets: the largest first, always to whoever has least (Graham 1969).

    The longest hand is at most 4/3 of the best possible one.
    """
    loads, found = [0.0] * hands, [list[int]() for _ in range(hands)]
    for index in sorted(range(len(costs)), key=lambda index: (-costs[index], index)):
        least = min(range(hands), key=lambda hand: (loads[hand], hand))
        loads[least] += costs[index]
        found[least].append(index)
    return found
