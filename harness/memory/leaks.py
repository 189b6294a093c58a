"""Whether a step holds on to memory: what is allocated after some steps and after more must be the same."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator

import torch

from harness.memory.storage_tracer import StorageTracer
from harness.memory.timeline import bytes_held
from harness.training.device import numerics
from harness.training.synthetic_step import SyntheticStep
from reference import Reference


def bytes_retained(
    reference: Reference, batch_size: int, steps: tuple[int, int], device: torch.device
) -> tuple[int, int]:
    """Bytes held after each of the two numbers of steps, within one run.

    On CUDA what PyTorch's allocator was asked for (the blocks that it hands out may be larger, and so differ); on the
    CPU, which keeps no such count, every storage is followed.

    Raises:
        ValueError: the reference refuses this batch size.
    """
    first, last = steps
    assert 0 < first < last, "the second number of steps must be the larger"
    on_cuda = device.type == "cuda"
    forked = torch.random.fork_rng([device] if on_cuda else [])
    # On a CPU one thread: how many there are plays no part, and on a busy machine several wait for each other at every
    # operator.
    computing = numerics(device, deterministic=not on_cuda, threads=None if on_cuda else 1)
    with forked, computing, bytes_after(device) as after:
        prepared = SyntheticStep(reference, batch_size, device)
        return after(prepared, first), after(prepared, last - first)


@contextlib.contextmanager
def bytes_after(device: torch.device) -> Iterator[Callable[[Callable[[], object], int], int]]:
    """Within, `after(step, count)` takes so many steps, and says how many bytes are held then."""
    with contextlib.nullcontext() if device.type == "cuda" else StorageTracer(device) as tracer:

        def after(step: Callable[[], object], count: int) -> int:
            for _ in range(count):
                step()
            gc.collect()
            if tracer is None:
                return int(torch.cuda.memory_stats(device)["requested_bytes.all.current"])
            return bytes_held(tracer.events)

        yield after
