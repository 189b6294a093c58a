"""In which order the engine gives data to a reference: shuffled, all of them, each once an epoch."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from harness.checks.training_rules import RuleResult
from harness.data import open_data
from harness.training import RunConfig, train
from reference import Batch, Card, Networks, Noise, Players, get, unlisted

_ORDER_BATCHES = 4


def watch_order(spec: str, data_root: Path | None, modules: tuple[str, ...], folder: Path) -> list[RuleResult]:
    """Let the engine go through a reference's data twice, without training, and look at the order in which they came.

    `folder` is where the engine keeps the run's files.
    """
    reference = get(spec)
    dataset = open_data(reference, data_root)
    batch = -(-len(dataset) // _ORDER_BATCHES)
    config = RunConfig(
        f"spy@of={spec}",
        reference.card.seed,
        batch,
        epochs=2,
        keep_checkpoints=0,
        sample_every=0,
        tensorboard=False,
        pictures=False,
        reference_modules=modules,
        data_root=str(data_root) if data_root else None,
        threads=1,  # given, so that no step is taken to find out: the spy sees the data's batches alone
    )
    Spy.seen.clear()
    train(config, folder)
    half = len(Spy.seen) // 2
    epochs = [[row for rows in part for row in rows] for part in (Spy.seen[:half], Spy.seen[half:])]
    stored = _row_digests(dataset[torch.arange(len(dataset))].data)
    return [RuleResult("data come shuffled, each once an epoch", order_complaint(stored, epochs, dropped=batch - 1))]


def order_complaint(stored: list[int], epochs: list[list[int]], dropped: int | None = None) -> str:
    """What is wrong with the order in which samples came in each epoch; empty when nothing is.

    Samples are known by digests; `stored` holds those of the data set in its own order. `dropped` is how many an epoch
    may leave out; None doesn't ask.
    """
    for number, epoch in enumerate(epochs, 1):
        if Counter(epoch) - Counter(stored):
            return f"epoch {number} holds a sample more often than the data set"
        if dropped is not None and len(epoch) < len(stored) - dropped:
            return f"epoch {number} holds {len(epoch)} of {len(stored)} samples"
        if epoch == stored[: len(epoch)]:
            return f"epoch {number} isn't shuffled"
    if any(one == other for one, other in pairwise(epochs)):
        return "two epochs have the same order"
    return ""


@unlisted
@dataclass(frozen=True)
class Spy:
    """A reference with another one's data that learns nothing, and notes what it is given: `spy@of=SPEC`."""

    of: str = "idl-gan-grid"
    card: ClassVar[Card]
    seen: ClassVar[list[list[int]]] = []

    def __post_init__(self) -> None:
        object.__setattr__(self, "card", get(self.of).card)

    @property
    def data(self) -> Any:
        """The other's own, None for one without."""
        return getattr(get(self.of), "data", None)

    def networks(self) -> dict[str, nn.Module]:
        """One that has nothing to learn."""
        return {"generator": nn.Identity()}

    def optimizers(self, _: Networks) -> dict[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def step(self, _: Players, batch: Batch, __: Noise) -> dict[str, Tensor]:
        """Note the batch."""
        self.seen.append(_row_digests(batch.data))
        return {"loss": torch.zeros(())}

    def sample(self, _: Networks, n: int, __: Noise, **___: Tensor | None) -> Tensor:
        """Nothing but zeros."""
        return torch.zeros(n, *self.card.data_shape)


def _row_digests(data: Tensor) -> list[int]:
    return [zlib.crc32(row.tobytes()) for row in data.flatten(1).numpy()]
