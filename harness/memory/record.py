"""What is known of a cell, a reference and a batch size, as records: estimated, measured, and beside the document."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from harness.data import batches_per_epoch
from harness.data.registry import documented_samples, has_real_data
from harness.memory.estimate import Estimate, estimate
from harness.memory.measure import Cell, Measured, measure_cell
from harness.records.environment import allocator_settings
from harness.records.record import Better
from harness.training.device import computed
from reference import Card, Reference

MIB = 2**20
COMPUTED_ON = "computed on"  # the key of every record's protocol here: cuda or cpu
FAILED = "its step fails"
NOT_YET = "not measured yet: there is no GPU here"
_DRAWN = "drawn values in the card's shape"


class Write(Protocol):
    """`SuiteSession.record`, or a recorder's for one suite."""

    def __call__(self, spec: str, metric: str, value: float | None, unit: str, better: Better, **more: Any) -> None: ...


def documented_batch_sizes(card: Card) -> tuple[int, ...]:
    """Those of the document's memory table, else the one that it trains with."""
    return tuple(figure.batch_size for figure in card.memory) or (card.batch_size,)


def record_estimate(write: Write, spec: str, reference: Reference, batch_size: int) -> Estimate:
    """Estimate one cell and record it.

    Raises:
        NotFollowableError: the step reads values.
        ValueError: it refuses this batch size.
    """
    found = estimate(reference, batch_size)
    spaces = found.workspaces
    facts: dict[str, Any] = {
        "batch_size": batch_size, "status": "estimated", "device": f"any CUDA device, torch {spaces.version}",
        "data": _DRAWN,
    }  # fmt: skip
    protocol = {COMPUTED_ON: "cuda", "torch": spaces.version, "cuBLAS workspaces": spaces.described}
    where = f"{found.layer or 'the step'}, {found.operator}" if found.operator else "between steps"
    write(spec, "peak_allocated_mib", found.peak_allocated / MIB, "MiB", "lower", reason=where,
          protocol=protocol, **facts)  # fmt: skip
    write(spec, "peak_reserved_mib", found.peak_reserved / MIB, "MiB", "lower", protocol=protocol, **facts)
    write(spec, "tensors_mib", found.tensors / MIB, "MiB", "lower", protocol=protocol, **facts)
    for part, size in found.parts.items():
        write(spec, "peak_part_mib", size / MIB, "MiB", "none", protocol=protocol | {"part": part}, **facts)
    return found


def record_cell(write: Write, cell: Cell, card: Card, root: Path | None) -> Measured:
    """Measure one cell and record it: running out of memory is a row, and so is a step that fails or takes no such
    batch."""
    try:
        found = measure_cell(cell)
    except (RuntimeError, ValueError) as error:
        found = Measured(ended=f"{FAILED}: {error}")
    device = torch.device(cell.device)
    on_cuda = device.type == "cuda"
    facts: dict[str, Any] = {
        "batch_size": cell.batch_size, "data": _DRAWN, "threads": found.threads,
        "computed": computed(device, deterministic=cell.deterministic),
        "protocol": {COMPUTED_ON: device.type},
    }  # fmt: skip

    def mib(metric: str, size: int | None, why_not: str = "", reason: str = "") -> None:
        if size is None:
            status = "failed" if why_not.startswith(FAILED) else "skipped"
            write(cell.spec, metric, None, "MiB", "lower", status=status, reason=why_not, **facts)
        else:
            write(cell.spec, metric, size / MIB, "MiB", "lower", reason=reason, **facts)

    if found.ended:
        if found.others:
            found = dataclasses.replace(found, ended=f"{found.ended}; on the card also: {'; '.join(found.others)}")
        for metric in ("peak_allocated_mib", "peak_reserved_mib", "driver_mib") if on_cuda else ("peak_resident_mib",):
            mib(metric, None, found.ended)
        return found
    if on_cuda:
        mib("peak_allocated_mib", found.peak_allocated)
        mib("peak_reserved_mib", found.peak_reserved, reason=_another_allocator())
        mib("tensors_mib", found.tensors, "the step wasn't traced: there was no memory, or nobody asked")
        if found.tensors is not None and found.peak_allocated is not None:
            # cuBLAS', cuDNN's, and what the allocator adds by rounding.
            mib("workspaces_mib", found.peak_allocated - found.tensors)
        mib("context_mib", found.context, found.driver_how)
        mib("bare_context_mib", found.bare_context, found.driver_how)
        others = "; ".join(found.others)
        mib("driver_mib", found.driver, found.driver_how, found.driver_how)
        write(cell.spec, "other_processes", float(len(found.others)), "processes", "none", reason=others, **facts)
        if not cell.deterministic:  # as the documents compute
            mib(f"driver_memory_mb_b{cell.batch_size}", found.driver, found.driver_how)
    else:
        mib("peak_resident_mib", found.resident, reason=_before(found))
    _record_times(write, cell, card, root, found, facts)
    record_machine(write, cell.spec, found, facts)
    return found


def record_machine(write: Write, spec: str, found: Measured, facts: Mapping[str, Any]) -> None:
    """The state of the machine before and during the timed steps, and whether it was held back."""
    for when, state in (("before", found.before), ("after", found.after)):
        protocol = facts["protocol"] | {"when": when} | state.words
        for name, value in state.figures.items():
            unit = name.rpartition("_")[2]
            write(spec, name, value, unit, "none", **{**facts, "protocol": protocol}, reason=state.missing)
    if found.before.tells:
        write(spec, "throttled", float(bool(found.throttled)), "yes/no", "none", reason=found.throttled, **facts)
    elif facts["protocol"][COMPUTED_ON] == "cuda":
        why = found.before.missing
        write(spec, "throttled", None, "yes/no", "none", status="skipped", reason=why, **facts)


def _another_allocator() -> str:
    """Why reserved memory may not be what the caching allocator's default rules make it; "" where it is."""
    found = allocator_settings()
    return f"{found}: other rules than the estimate's" if found else ""


def _before(found: Measured) -> str:
    return f"of which {(found.resident_before or 0) / MIB:.0f} MiB before the networks were made"


def _record_times(
    write: Write, cell: Cell, card: Card, root: Path | None, found: Measured, facts: dict[str, Any]
) -> None:
    low, high = found.quartiles_ms
    steps = f"{len(found.step_ms)} steps, quartiles {low:.4g} to {high:.4g}"
    if found.throttled:
        steps += f"; throttled: {found.throttled}"
    if facts["protocol"][COMPUTED_ON] == "cpu":
        facts = facts | {"protocol": facts["protocol"] | {"threads": str(found.threads)}}
    write(cell.spec, "step_ms_median", found.median_ms, "ms", "lower", reason=steps, **facts)
    write(cell.spec, "step_ms_q1", low, "ms", "none", **facts)
    write(cell.spec, "step_ms_q3", high, "ms", "none", **facts)
    write(cell.spec, "images_per_second", 1000 * cell.batch_size / found.median_ms, "1/s", "higher", **facts)
    samples = documented_samples(card)
    as_documented = facts["protocol"][COMPUTED_ON] == "cpu" or not cell.deterministic
    if samples is not None and cell.batch_size == card.batch_size and as_documented:
        # A stand-in's pixels would take as long; whether the claim is decided is a matter of the real data's presence.
        steps_of_run = card.epochs * batches_per_epoch(samples, cell.batch_size, drop_last=card.drop_last)
        minutes = found.median_ms / 60_000 * steps_of_run
        what = f"steps alone, {samples:,} samples, {card.epochs} epochs; loading isn't in it"
        real = has_real_data(card, root)
        write(cell.spec, "documented_run_minutes", minutes, "min", "lower", real_data=real, reason=what, **facts)


def record_epoch_ratio(write: Write, spec: str, card: Card, cells: Sequence[tuple[Cell, Measured]]) -> None:
    """The time of an epoch at the document's largest batch over that at the one it trains with, if both ran."""
    times = {cell.batch_size: found.median_ms for cell, found in cells if not found.ended}
    largest, own, samples = max(documented_batch_sizes(card)), card.batch_size, documented_samples(card)
    if samples is None or not {largest, own} <= times.keys() or largest == own:
        return
    long, short = (times[size] * batches_per_epoch(samples, size, drop_last=card.drop_last) for size in (largest, own))
    cell = cells[0][0]
    on = torch.device(cell.device).type
    write(spec, f"epoch_time_ratio_b{largest}_to_b{own}", long / short, "ratio", "none", data=_DRAWN,
          protocol={COMPUTED_ON: on}, reason=f"steps alone, {samples:,} samples")  # fmt: skip


def record_not_yet(write: Write, spec: str, card: Card) -> None:
    """Say of every figure that the document prints that there is no GPU to measure_cell it on."""
    sizes = [figure.batch_size for figure in card.memory]
    named = [f"driver_memory_mb_b{size}" for size in sizes]
    named += [claim.metric for claim in card.claims if claim.needs_gpu]
    for metric in dict.fromkeys(named):
        write(spec, metric, None, "", "none", status="skipped", reason=NOT_YET)


def affordable_sizes(sizes: Sequence[int], flops_per_sample: float, budget: float | None, count: int = 1) -> list[int]:
    """Those of `sizes` whose step stays within `budget` operations; else the `count` largest powers of two that do.

    At least 1, however much that takes. None is no bound.
    """
    if budget is None or flops_per_sample <= 0:
        return list(sizes)
    most = max(1, int(min(budget / flops_per_sample, 2**31)))
    largest = 2 ** int(math.log2(min(most, *sizes)))
    return [size for size in sizes if size <= most] or sorted({max(1, largest >> i) for i in range(count)})
