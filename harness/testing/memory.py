"""Whether a step holds on to memory, and how much it takes at its peak."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import torch

from harness.memory.leaks import bytes_after
from harness.memory.storage_tracer import StorageTracer
from harness.memory.timeline import Timeline, peak

Step = Callable[[], Any]


def assert_no_leak(step: Step, *, warm_up: int = 2, steps: int = 5, device: str | torch.device = "cpu") -> None:
    """Call `step` some times, and hold what tensors it keeps against what it keeps after as many more.

    On a GPU what PyTorch's allocator was asked for; on the CPU every storage that the calls make, followed.

    Raises:
        AssertionError: more bytes are held after more steps, with how many a step.
        ValueError: no steps.
    """
    if warm_up < 1 or steps < 1:
        raise ValueError(f"a leak shows after a step or more, before and after: warm_up {warm_up}, steps {steps}")
    with bytes_after(torch.device(device)) as after:
        early, late = after(step, warm_up), after(step, steps)
    assert late <= early, (
        f"{late - early:,} bytes more are held after {steps} more steps, {(late - early) / steps:,.0f} a step: does it "
        "keep losses with their graphs, batches, or samples?"
    )


def peak_bytes(
    make_step: Callable[[int], Step], batch_sizes: Sequence[int], *, device: str | torch.device = "cpu"
) -> dict[int, int]:
    """The most bytes that tensors hold in a steady step, by batch size.

    `make_step(batch_size)` makes networks and optimisers, and returns the step. On a GPU what PyTorch's allocator has
    handed out at the most, workspaces included; on the CPU all that was made from `make_step` on, followed.

    Raises:
        ValueError: no batch size, or one below 1.
    """
    if not batch_sizes or min(batch_sizes) < 1:
        raise ValueError(f"batch sizes are 1 or more, and at least one, not {list(batch_sizes)}")
    place = torch.device(device)
    return {size: _peak(make_step, size, place) for size in batch_sizes}


def _peak(make_step: Callable[[int], Step], size: int, device: torch.device) -> int:
    gc.collect()
    if device.type == "cuda":
        step = make_step(size)
        step()  # makes the optimisers' state
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device))
    with StorageTracer(device) as tracer:
        step = make_step(size)
        step()
        begin = len(tracer.events)
        step()
        events = tuple(tracer.events)
    return peak(Timeline(events, begin, tracer.kinds)).size
