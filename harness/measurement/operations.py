"""How many floating-point operations a training step takes, and how many steps a budget buys."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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
        with _Counting() as counter:  # type: ignore[no-untyped-call]
            reference.step(players, dataset[torch.arange(counted)], noise)
    return float(counter.operations) * batch_size / counted


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what PyTorch's formulas say of each operation.

    Its own FlopCounterMode also tells modules apart, and fails where a gradient is taken of a leaf.
    """

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=result)
        return result


def affordable_steps(per_step: float, budget: float | None, documented: int) -> int:
    """The document's number of steps, or as many as `budget` operations buy, at least two."""
    if budget is None or per_step <= 0:
        return documented
    return max(2, min(documented, int(budget / per_step)))
