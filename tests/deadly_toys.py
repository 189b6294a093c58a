"""A reference that ends the process that trains it, for the tests of what happens then."""

from __future__ import annotations

import dataclasses
import os
import signal
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from reference import Batch, Card, Networks, Noise, Players, register
from tests.toys import CARD, Toy


@register
@dataclass(frozen=True)
class Deadly(Toy):
    """Nobody survives its first step."""

    card: ClassVar[Card] = dataclasses.replace(CARD, name="toy-deadly")

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().step(players, batch, noise)


@register
@dataclass(frozen=True)
class DeadlyDrawing(Toy):
    """It can be trained, and nobody survives its first sample."""

    card: ClassVar[Card] = dataclasses.replace(CARD, name="toy-deadly-drawing")

    def sample(self, networks: Networks, n: int, noise: Noise) -> Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(networks, n, noise)
