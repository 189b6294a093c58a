"""Whether a step holds on to memory: what is allocated after some steps and after more must be the same."""

from __future__ import annotations

import gc

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
    if device.type == "cuda":
        devices = [device]
        with torch.random.fork_rng(devices), numerics(device, deterministic=False, threads=None):
            prepared = SyntheticStep(reference, batch_size, device)
            return _run(prepared, first, device), _run(prepared, last - first, device)
    # One thread: how many there are plays no part, and on a busy machine several wait for each other at every operator.
    with torch.random.fork_rng([]), numerics(device, deterministic=True, threads=1), StorageTracer() as tracer:
        prepared = SyntheticStep(reference, batch_size, device)
        _run(prepared, first, device)
        early = bytes_held(tracer.events)
        _run(prepared, last - first, device)
        return early, bytes_held(tracer.events)


def _run(prepared: SyntheticStep, steps: int, device: torch.device) -> int:
    for _ in range(steps):
        prepared()
    gc.collect()
    return int(torch.cuda.memory_stats(device)["requested_bytes.all.current"]) if device.type == "cuda" else 0
