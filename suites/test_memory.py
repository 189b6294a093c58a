"""Memory by batch size: estimated for every reference, measured here, and whether the two agree; and nothing leaks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from harness.memory.cpu_profiler import profiled_allocations
from harness.memory.estimate import estimate, estimated_tensors
from harness.memory.leaks import bytes_retained
from harness.memory.measure import Cell
from harness.memory.record import (
    MIB,
    documented_batch_sizes,
    record_cell,
    record_epoch_ratio,
    record_estimate,
    record_not_yet,
    sizes_within_budget,
)
from harness.memory.storage_tracer import UntraceableError
from harness.records.environment import allocator_settings
from harness.records.metrics import BY, COMPUTED_ON, CPU_PEAK_EVERYTHING, CPU_PEAK_TENSORS, LEAKED_BYTES, STEPS
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.device import IS_DETERMINISTIC
from harness.training.out_of_memory import does_not_fit

TOLERANCE = 0.02
# What the allocator hands out beyond tensors is workspaces and rounding: never less than nothing, beyond a slip.
LEAST_WORKSPACES = -1.0  # MiB


@contextlib.contextmanager
def skipping_what_reads_values() -> Iterator[None]:
    try:
        yield
    except UntraceableError as error:
        pytest.skip(str(error))


def test_estimate(subject: Subject, suite: Session) -> None:
    chosen = subject.reference
    for size in documented_batch_sizes(chosen.card):
        with skipping_what_reads_values():
            found = record_estimate(suite.record, subject.spec, chosen, size)
        assert sum(found.parts.values()) == found.peak_allocated <= found.peak_reserved
        assert found.between_steps < found.peak_allocated


def test_estimator(subject: Subject, suite: Session) -> None:
    """The estimate of all tensors beside what PyTorch's profiler sees the CPU's allocator do."""
    subject = subject.trainable
    chosen = subject.reference
    batch = min(suite.profile.profiled_batch, chosen.card.batch_size)
    with skipping_what_reads_values():
        estimated = estimated_tensors(chosen, batch)
    seen = profiled_allocations(chosen, batch)
    facts: dict[str, Any] = {"batch_size": batch, "protocol": {COMPUTED_ON: "cpu"}}
    subject.record(CPU_PEAK_TENSORS, estimated, status="estimated", **facts)
    subject.record(CPU_PEAK_TENSORS, seen.tensors, **facts)
    subject.record(CPU_PEAK_EVERYTHING, seen.everything, **facts)
    assert abs(seen.tensors / estimated - 1) <= TOLERANCE, (
        f"the profiler saw {seen.tensors:,} bytes of tensors at the peak, estimated were {estimated:,}"
    )


@pytest.mark.alone
def test_cells(subject: Subject, numerics: str, suite: Session) -> None:
    """Each batch size in a process of its own; on a GPU its tensors, each followed, must be those of the estimate."""
    on_cuda = suite.device.type == "cuda"
    if not on_cuda:
        record_not_yet(suite.record, subject.spec, subject.card)
        if not (suite.profile.every_cell or suite.settings.references or subject.card.memory):
            pytest.skip(f"on a CPU {suite.profile.name} measures the documents' tables, and what --references names")
        subject = subject.trainable
    chosen, profile = subject.reference, suite.profile
    sizes = list(documented_batch_sizes(chosen.card))
    if not on_cuda:
        sizes = sizes_within_budget(sizes, subject.operations_per_sample, profile.cell_flops, profile.cell_sizes)
    elif IS_DETERMINISTIC[numerics] and not profile.both_numerics:
        if not chosen.card.memory:
            pytest.skip(f"the profile {profile.name} measures it as documented alone")
        sizes = [chosen.card.batch_size]
    cells, wrong = [], []
    for size in sizes:
        cell = Cell(
            subject.spec,
            size,
            str(suite.device),
            IS_DETERMINISTIC[numerics],
            profile.cell_steps,
            profile.cell_seconds,
            suite.settings.modules,
        )
        found = record_cell(suite.record, cell, chosen.card, suite.root)
        cells.append((cell, found))
        if found.tensors is not None and found.peak_allocated is not None:
            with contextlib.suppress(UntraceableError):  # which test_estimate says
                ratio = found.tensors / estimate(chosen, size).tensors
                if abs(ratio - 1) > TOLERANCE:
                    wrong.append(f"batch {size}: tensors take {ratio:.3f} of the estimate")
            beyond = (found.peak_allocated - found.tensors) / MIB
            if beyond < LEAST_WORKSPACES and not allocator_settings():
                wrong.append(f"batch {size}: {-beyond:.1f} MiB less are allocated than tensors hold")
        if found.ended and not does_not_fit(found.ended, surely=size <= chosen.card.batch_size):
            wrong.append(f"batch {size}: {found.ended}")
    if not on_cuda or not IS_DETERMINISTIC[numerics]:
        record_epoch_ratio(suite.record, subject.spec, chosen.card, cells)
    assert not wrong, "; ".join(wrong)
    if on_cuda and allocator_settings():
        pytest.skip(f"{allocator_settings()}: what is reserved and allocated isn't held against anything")


def test_leak(subject: Subject, suite: Session) -> None:
    if suite.device.type == "cuda" and "NO_CUDA_MEMORY_CACHING" in allocator_settings():
        pytest.skip(f"{allocator_settings()}: PyTorch counts nothing")
    subject = subject.trainable
    chosen = subject.reference
    batch = min(2, chosen.card.batch_size)  # what is held on to doesn't depend on it
    first, last = suite.profile.leak_steps
    early, late = bytes_retained(chosen, batch, (first, last), suite.device)
    if late != early:  # a network may grow at first
        first, last = 4 * last, 5 * last
        early, late = bytes_retained(chosen, batch, (first, last), suite.device)
    how = "bytes asked of PyTorch's allocator" if suite.device.type == "cuda" else "every storage followed"
    subject.record(
        LEAKED_BYTES,
        late - early,
        batch_size=batch,
        protocol={STEPS: f"{first} and {last}", BY: how},
    )
    assert late == early, f"{late - early:,} bytes more are held after {last} steps than after {first}"
