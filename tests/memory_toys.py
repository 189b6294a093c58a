"""Toys for the suites of memory and speed: one with a memory table, one that leaks, one that reads values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from reference import Batch, Card, MemoryFigure, Noise, Players, register
from tests.toys import CARD, Toy

_kept: list[Tensor] = []


@register
@dataclass(frozen=True)
class Tabled(Toy):
    """Its document says what three batch sizes take."""

    card: ClassVar[Card] = dataclasses.replace(
        CARD, name="toy-tabled", batch_size=64, memory=tuple(MemoryFigure(n, 500 + n) for n in (64, 128, 256))
    )


@register
@dataclass(frozen=True)
class Leaky(Toy):
    """It keeps every loss, and with it what the loss was computed from."""

    card: ClassVar[Card] = dataclasses.replace(CARD, name="toy-leaky", batch_size=64)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        _kept.append(players.discriminator(batch.data).square().mean())
        return super().step(players, batch, noise)


@register
@dataclass(frozen=True)
class Reading(Toy):
    """It looks at a value in each step, which no fake tensor has."""

    card: ClassVar[Card] = dataclasses.replace(CARD, name="toy-reading", batch_size=64)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        assert batch.data.sum().item() < 1e9
        return super().step(players, batch, noise)
