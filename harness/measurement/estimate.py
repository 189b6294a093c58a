"""How much memory a training step takes on a GPU, computed without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.measurement.caching_allocator import occupy
from harness.measurement.following import ACTIVATIONS, COUNTERS, follow_step
from harness.measurement.timeline import live, peak, split
from reference import Reference

ROUNDING = "rounding"


@dataclass(frozen=True)
class Estimate:
    """Bytes of one steady step, as torch.cuda.memory_stats would count them.

    Attributes:
        peak_allocated, peak_reserved: the most that is handed out, and that is held from the driver.
        between_steps: what is handed out when the step is over.
        parts: peak_allocated by what it holds; `rounding` is what the allocator adds.
        layer, operator: who takes the last piece that makes the peak.

    What it leaves out: the CUDA context, workspaces that cuDNN takes and gives back within an operator, and memory
    that the driver holds beside PyTorch's allocator.
    """

    batch_size: int
    peak_allocated: int
    peak_reserved: int
    between_steps: int
    parts: Mapping[str, int]
    layer: str
    operator: str


def estimate(reference: Reference, batch_size: int) -> Estimate:
    """Follow one step and let the caching allocator's rules act on it.

    Raises:
        NotFollowableError: the step reads values.
        ValueError: a batch size below 1, or one that the step refuses.
    """
    followed = follow_step(reference, batch_size, as_on_cuda=True)
    timeline = followed.without(followed.of_kind(COUNTERS))
    found = occupy(timeline)
    asked = live(timeline.events, found.index)
    parts = split(asked, timeline.kinds, ACTIVATIONS)
    parts[ROUNDING] = sum(found.blocks.values()) - sum(asked.values())
    last = timeline.events[found.index]
    return Estimate(
        batch_size, found.peak_allocated, found.peak_reserved, found.between_steps, parts, last.layer, last.operator
    )


def estimated_tensors(reference: Reference, batch_size: int) -> int:
    """Bytes of all tensors at the peak of a step on the CPU, without any allocator's rounding.

    Raises:
        ValueError: as `estimate`.
    """
    return peak(follow_step(reference, batch_size, as_on_cuda=False)).size
