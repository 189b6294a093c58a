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
from harness.records import metrics as m
from harness.records.environment import allocator_settings
from harness.records.metrics import COMPUTED_ON, Metric
from harness.training.device import computed
from reference import Card, Reference

MIB = 2**20
FAILED = "its step fails"
NOT_YET = "not measured yet: there is no GPU here"
_DRAWN = "drawn values in the card's shape"


class Write(Protocol):
    """`SuiteSession.record`, or a recorder's for one suite."""

    def __call__(self, spec: str, metric: Metric, value: float | None, **more: Any) -> None: ...


def documented_batch_sizes(card: Card) -> tuple[int, ...]:
    """Those of the document's memory table, else the one that it trains with."""
    return tuple(figure.batch_size for figure in card.memory) or (card.batch_size,)


def record_estimate(write: Write, spec: str, reference: Reference, batch_size: int) -> Estimate:
    """Estimate one cell and record it.

    Raises:
        UntraceableError: the step reads values.
        ValueError: it refuses this batch size.
    """
    found = estimate(reference, batch_size)
    spaces = found.workspaces
    facts: dict[str, Any] = {
        "batch_size": batch_size,
        "status": "estimated",
        "device": f"any CUDA device, torch {spaces.version}",
        "data": _DRAWN,
    }
    protocol = {COMPUTED_ON: "cuda", "torch": spaces.version, "cuBLAS workspaces": spaces.described}
    where = f"{found.layer or 'the step'}, {found.operator}" if found.operator else "between steps"
    write(spec, m.PEAK_ALLOCATED, found.peak_allocated / MIB, reason=where, protocol=protocol, **facts)
    write(spec, m.PEAK_RESERVED, found.peak_reserved / MIB, protocol=protocol, **facts)
    write(spec, m.TENSORS_MIB, found.tensors / MIB, protocol=protocol, **facts)
    for part, size in found.parts.items():
        write(spec, m.PEAK_PART, size / MIB, protocol=protocol | {m.PART: part}, **facts)
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
        "batch_size": cell.batch_size,
        "data": _DRAWN,
        "threads": found.threads,
        "computed": computed(device, deterministic=cell.deterministic),
        "protocol": {COMPUTED_ON: device.type},
    }

    def mib(metric: Metric, size: int | None, stale_reason: str = "", reason: str = "") -> None:
        if size is None:
            status = "failed" if stale_reason.startswith(FAILED) else "skipped"
            write(cell.spec, metric, None, status=status, reason=stale_reason, **facts)
        else:
            write(cell.spec, metric, size / MIB, reason=reason, **facts)

    if found.ended:
        if found.others:
            found = dataclasses.replace(found, ended=f"{found.ended}; on the card also: {'; '.join(found.others)}")
        for metric in (m.PEAK_ALLOCATED, m.PEAK_RESERVED, m.DRIVER_MIB) if on_cuda else (m.PEAK_RSS,):
            mib(metric, None, found.ended)
        return found
    if on_cuda:
        mib(m.PEAK_ALLOCATED, found.peak_allocated)
        mib(m.PEAK_RESERVED, found.peak_reserved, reason=_another_allocator())
        mib(m.TENSORS_MIB, found.tensors, "the step wasn't traced: there was no memory, or nobody asked")
        if found.tensors is not None and found.peak_allocated is not None:
            # cuBLAS', cuDNN's, and what the allocator adds by rounding.
            mib(m.WORKSPACES_MIB, found.peak_allocated - found.tensors)
        mib(m.CONTEXT_MIB, found.context, found.driver_how)
        mib(m.BARE_CONTEXT_MIB, found.bare_context, found.driver_how)
        others = "; ".join(found.others)
        mib(m.DRIVER_MIB, found.driver, found.driver_how, found.driver_how)
        write(cell.spec, m.OTHER_PROCESSES, float(len(found.others)), reason=others, **facts)
    else:
        mib(m.PEAK_RSS, found.resident, reason=_before(found))
    _record_times(write, cell, card, root, found, facts)
    record_machine(write, cell.spec, found, facts)
    return found


def record_machine(write: Write, spec: str, found: Measured, facts: Mapping[str, Any]) -> None:
    """The state of the machine before and during the timed steps, and whether it was held back."""
    for when, state in (("before", found.before), ("after", found.after)):
        protocol = facts["protocol"] | {m.WHEN: when} | state.words
        for name, value in state.figures.items():
            write(spec, m.MACHINE_FIGURES[name], value, **{**facts, "protocol": protocol}, reason=state.missing)
    if found.before.tells:
        write(spec, m.THROTTLED, float(bool(found.throttled)), reason=found.throttled, **facts)
    elif facts["protocol"][COMPUTED_ON] == "cuda":
        why = found.before.missing
        write(spec, m.THROTTLED, None, status="skipped", reason=why, **facts)


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
        facts = facts | {"protocol": facts["protocol"] | {m.THREADS: str(found.threads)}}
    write(cell.spec, m.STEP_MS, found.median_ms, reason=steps, **facts)
    write(cell.spec, m.STEP_MS_Q1, low, **facts)
    write(cell.spec, m.STEP_MS_Q3, high, **facts)
    write(cell.spec, m.IMAGES_PER_SECOND, 1000 * cell.batch_size / found.median_ms, **facts)
    samples = documented_samples(card)
    as_documented = facts["protocol"][COMPUTED_ON] == "cpu" or not cell.deterministic
    if samples is not None and cell.batch_size == card.batch_size and as_documented:
        # A stand-in's pixels would take as long; whether the claim is decided is a matter of the real data's presence.
        steps_of_run = card.epochs * batches_per_epoch(samples, cell.batch_size, drop_last=card.drop_last)
        minutes = found.median_ms / 60_000 * steps_of_run
        what = f"steps alone, {samples:,} samples, {card.epochs} epochs; loading isn't in it"
        real = has_real_data(card, root)
        write(cell.spec, m.DOCUMENTED_RUN_MINUTES, minutes, real_data=real, reason=what, **facts)


def record_epoch_ratio(write: Write, spec: str, card: Card, cells: Sequence[tuple[Cell, Measured]]) -> None:
    """The time of an epoch at the document's largest batch over that at the one it trains with, if both ran."""
    times = {cell.batch_size: found.median_ms for cell, found in cells if not found.ended}
    largest, own, samples = max(documented_batch_sizes(card)), card.batch_size, documented_samples(card)
    if samples is None or not {largest, own} <= times.keys() or largest == own:
        return
    long, short = (times[size] * batches_per_epoch(samples, size, drop_last=card.drop_last) for size in (largest, own))
    cell = cells[0][0]
    on = torch.device(cell.device).type
    protocol = {m.BATCHES: f"{largest} to {own}", COMPUTED_ON: on}
    reason = f"steps alone, {samples:,} samples"
    write(spec, m.EPOCH_TIME_RATIO, long / short, data=_DRAWN, protocol=protocol, reason=reason)


def record_not_yet(write: Write, spec: str, card: Card) -> None:
    """Say of every figure that the document prints that there is no GPU to measure it on."""
    named = [m.DRIVER_MIB] if card.memory else []
    named += [m.find_metric(claim.metric) for claim in card.claims if claim.needs_gpu and claim.metric]
    for metric in dict.fromkeys(named):
        write(spec, metric, None, status="skipped", reason=NOT_YET)


def sizes_within_budget(
    sizes: Sequence[int], flops_per_sample: float, budget: float | None, count: int = 1
) -> list[int]:
    """Those of `sizes` whose step stays within `budget` operations; else the `count` largest powers of two that do.

    At least 1, however much that takes. None is no bound.
    """
    if budget is None or flops_per_sample <= 0:
        return list(sizes)
    most = max(1, int(min(budget / flops_per_sample, 2**31)))
    largest = 2 ** int(math.log2(min(most, *sizes)))
    return [size for size in sizes if size <= most] or sorted({max(1, largest >> i) for i in range(count)})
