"""What PyTorch's profiler sees of a step's memory on the CPU: real tensors, real kernels, every single allocation."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode

from harness.training.synthetic_step import SyntheticStep
from reference import Reference

# The profiler's own messages (it looks for a GPU, it starts, it stops) go to standard error.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

_OPERATOR, _STEP, _MEMORY = "gan_harness_operator", "gan_harness_step", "[memory]"
Span = tuple[int, int]  # begin and end, ns


@dataclass(frozen=True)
class Allocations:
    """The most bytes that the last step holds at once on the CPU.

    Attributes:
        tensors: held by tensors, as seen whenever an operator is done: what `estimate.estimated_tensors` predicts.
        everything: with what kernels take and give back within one operator (convolutions copy their operands into
            layouts that suit the processor).
    """

    tensors: int
    everything: int


def profiled_allocations(reference: Reference, batch_size: int, steps: int = 2) -> Allocations:
    """Run `steps` steps under the profiler and read what the last one allocated.

    Raises:
        ValueError: a batch size below 1, or one that the step refuses.
    """
    gc.collect()
    with torch.random.fork_rng([]), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        # The profiler sees a block given back only if it saw it taken: everything is made under its eyes.
        prepared = SyntheticStep(reference, batch_size, torch.device("cpu"))
        for _ in range(steps - 1):
            prepared()
        with record_function(_STEP), _MarkOperators():  # type: ignore[no-untyped-call]
            prepared()
    seen = [(e.name(), e.start_ns(), e.duration_ns(), e.nbytes()) for e in _events(profiler)]
    (step,) = [(start, start + length) for name, start, length, _ in seen if name == _STEP]
    operators = [(start, start + length) for name, start, length, _ in seen if name == _OPERATOR]
    return most_held([(start, size) for name, start, _, size in seen if name == _MEMORY], operators, step)


class _MarkOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, the profiler's trace shows where each operator begins and ends."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with record_function(_OPERATOR):
            return function(*args, **(kwargs or {}))


def most_held(changes: Iterable[tuple[int, int]], operators: Sequence[Span], step: Span) -> Allocations:
    """The peaks within `step`.

    Args:
        changes: when (ns) how many bytes were taken (or, negative, given back), from the beginning on.
        operators: those within the step; they don't overlap.
    """
    waiting = sorted(changes)
    total, place = 0, 0
    ends = [end for _, end in sorted(operators)]

    def until(time: int) -> int:
        """Go on up to `time`; returns the most that was held on the way."""
        nonlocal total, place
        most = total
        while place < len(waiting) and waiting[place][0] <= time:
            total += waiting[place][1]
            most = max(most, total)
            place += 1
        return most

    until(step[0])
    tensors = everything = total
    for end in [*ends, step[1]]:
        everything = max(everything, until(end))
        tensors = max(tensors, total)
    return Allocations(tensors, everything)


def _events(profiler: Any) -> list[Any]:
    """The raw events: the tables that PyTorch makes of them leave out when memory was taken."""
    return list(profiler.profiler.kineto_results.events())
