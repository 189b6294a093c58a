"""How many floating-point operations a training step takes, and how many steps a budget buys."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.data import Dataset
from harness.training.player import make_players
from harness.training.streams import GeneratorNoise
from reference import Reference

_COUNTED = 4


def step_operations(reference: Reference, dataset: Dataset, batch_size: int) -> float:
    """Operations of one step in matrix products and convolutions, forwards and backwards.

    Counted by running one step on four samples; operations grow in proportion to the batch.
    """
    counted = min(_COUNTED, len(dataset))
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        networks = reference.networks()
        players = make_players(networks, reference.optimizers(networks))
        noise = GeneratorNoise(torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter:
            reference.step(players, dataset[torch.arange(counted)], noise)
    return float(counter.get_total_flops()) * batch_size / counted


def affordable_steps(per_step: float, budget: float | None, documented: int) -> int:
    """The document's number of steps, or as many as `budget` operations buy, at least two."""
    if budget is None or per_step <= 0:
        return documented
    return max(2, min(documented, int(budget / per_step)))
