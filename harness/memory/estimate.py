"""How much memory a training step takes on a GPU, computed without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from harness.memory.caching_allocator import occupy
from harness.memory.cublas import Workspaces
from harness.memory.storage_tracer import ACTIVATIONS, COUNTERS, WORKSPACES, trace_fake_step, trace_real_step
from harness.memory.timeline import live, peak, split
from reference import Reference

ROUNDING = "rounding"


@dataclass(frozen=True)
class Estimate:
    """Bytes of one steady step, as torch.cuda.memory_stats would count them.

    Attributes:
        peak_allocated, peak_reserved: the most that is handed out, and that is held from the driver.
        tensors: the most that tensors alone hold, in the bytes that they ask for.
        between_steps: what is handed out when the step is over.
        parts: peak_allocated by what it holds; `rounding` is what the allocator adds.
        layer, operator: who takes the last piece that makes the peak.
        workspaces: cuBLAS' that are counted, and the version of PyTorch that handles them so.

    What it leaves out: the CUDA context, workspaces that cuDNN takes and gives back within an operator, and memory
    that the driver holds beside PyTorch's allocator.
    """

    batch_size: int
    peak_allocated: int
    peak_reserved: int
    tensors: int
    between_steps: int
    parts: Mapping[str, int]
    layer: str
    operator: str
    workspaces: Workspaces


def estimate(reference: Reference, batch_size: int, workspaces: Workspaces | None = None) -> Estimate:
    """Follow one step and let the caching allocator's rules act on it, with workspaces as this PyTorch handles them.

    Raises:
        UntraceableError: the step reads values.
        ValueError: a batch size below 1, or one that the step refuses.
    """
    workspaces = workspaces or Workspaces.of()
    followed = trace_fake_step(reference, batch_size, as_on_cuda=True, workspaces=workspaces)
    timeline = followed.without(followed.of_kind(COUNTERS))
    found = occupy(timeline)
    asked = live(timeline.events, found.index)
    parts = split(asked, timeline.kinds, ACTIVATIONS)
    parts[ROUNDING] = sum(found.blocks.values()) - sum(asked.values())
    last = timeline.events[found.index]
    tensors = peak(timeline.without(timeline.of_kind(WORKSPACES))).size
    return Estimate(
        batch_size,
        found.peak_allocated,
        found.peak_reserved,
        tensors,
        found.between_steps,
        parts,
        last.layer,
        last.operator,
        workspaces,
    )


def traced_tensors(reference: Reference, batch_size: int, device: torch.device) -> int:
    """Bytes of all tensors on `device` at the peak of a step that really runs there.

    Raises:
        ValueError: as `trace_real_step`.
    """
    return peak(trace_real_step(reference, batch_size, device)).size


def estimated_tensors(reference: Reference, batch_size: int) -> int:
    """Bytes of all tensors at the peak of a step on the CPU, without any allocator's rounding.

    Raises:
        ValueError: as `estimate`.
    """
    return peak(trace_fake_step(reference, batch_size, as_on_cuda=False)).size
