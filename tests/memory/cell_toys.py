"""A toy whose step ends its process, its memory or itself: for cells, which import it in processes of their own."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from reference import Batch, Card, Noise, Players, register
from tests import toys


@register
@dataclass(frozen=True)
class Ending(toys.Toy):
    """From step `at` on it ends as `ends` names it; "" lets it go on."""

    ends: str = ""
    card: ClassVar[Card] = dataclasses.replace(toys.CARD, name="toy-ending")

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        losses = super().step(players, batch, noise)
        if toys._hidden["count"] >= self.at:
            self._end()
        return losses

    def _end(self) -> None:
        match self.ends:
            case "card":
                raise torch.OutOfMemoryError("CUDA out of memory. Trial to allocate 2 GiB")
            case "interpreter":
                raise MemoryError
            case "allocator":
                torch.empty(10**15)
            case "library":
                raise RuntimeError("cuFFT: out of memory")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "terminate":
                os.kill(os.getpid(), signal.SIGTERM)
            case "exit":
                sys.exit(3)
            case "broken":
                raise KeyError("no such layer")
            case "refuses":
                raise ValueError("needs 9 samples or more")
