"""How many floating-point operations a training step takes, and how many steps a budget buys."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.measurement.following import UNFOLLOWABLE
from harness.measurement.prepared import PreparedStep
from reference import Reference

_COUNTED = 4


def step_operations(reference: Reference, batch_size: int) -> float:
    """Operations of one step in matrix products and convolutions, forwards and backwards.

    Counted for four samples, with tensors that have no values unless the step reads some; operations grow in
    proportion to the batch.
    """
    counted = min(_COUNTED, reference.card.batch_size)
    try:
        operations = _count(reference, counted, FakeTensorMode())
    except UNFOLLOWABLE:
        operations = _count(reference, counted, contextlib.nullcontext())
    return float(operations) * batch_size / counted


def _count(reference: Reference, samples: int, tensors: contextlib.AbstractContextManager[Any]) -> int:
    with torch.random.fork_rng([]), tensors:
        prepared = PreparedStep(reference, samples, torch.device("cpu"))
        with _Counting() as counter:  # type: ignore[no-untyped-call]
            prepared()
    return int(counter.operations)


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
