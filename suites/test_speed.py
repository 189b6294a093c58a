"""The step of every reference, timed by pytest-benchmark, whose options all work as ever.

Two revisions are better timed in turn, within one session: `gan-harness compare BASE CANDIDATE --speed`.
"""

from __future__ import annotations

from statistics import quantiles
from typing import Any

import pytest
import torch

from harness.memory.machine_state import machine_state
from harness.memory.measure import Measured
from harness.memory.record import record_machine, sizes_within_budget
from harness.records.metrics import COMPUTED_ON, IMAGES_PER_SECOND, STEP_MS, STEP_MS_Q1, STEP_MS_Q3, THREADS
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.device import IS_DETERMINISTIC, computed
from harness.training.device import numerics as computing
from harness.training.flops import step_threads
from harness.training.synthetic_step import SyntheticStep

pytestmark = pytest.mark.alone


def test_step(subject: Subject, numerics: str, suite: Session, benchmark: Any) -> None:
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is switched off here")
    subject = subject.trainable
    chosen, device, profile = subject.reference, suite.device, suite.profile
    on_cuda = device.type == "cuda"
    sizes = [chosen.card.batch_size]
    if not on_cuda:
        sizes = sizes_within_budget(sizes, subject.operations_per_sample, profile.cell_flops)
    threads = step_threads(chosen, sizes[0], device)
    with (
        torch.random.fork_rng([device] if on_cuda else []),
        computing(device, deterministic=IS_DETERMINISTIC[numerics], threads=threads),
    ):
        prepared = SyntheticStep(chosen, sizes[0], device)

        def step() -> None:
            prepared()
            if on_cuda:
                torch.cuda.synchronize(device)

        benchmark.extra_info |= {"batch_size": sizes[0], "device": str(device), "numerics": numerics}
        before = machine_state(device)
        # The first step makes the optimisers' state; on a card cuDNN tries its algorithms too.
        benchmark.pedantic(step, rounds=profile.speed_rounds, warmup_rounds=3 if on_cuda else 1)
        after = machine_state(device)
    times = [1000 * seconds for seconds in benchmark.stats.stats.data]
    low, middle, high = quantiles(times, n=4, method="inclusive")
    facts: dict[str, Any] = {
        "batch_size": sizes[0],
        "threads": threads,
        "computed": computed(device, deterministic=IS_DETERMINISTIC[numerics]),
        "protocol": {COMPUTED_ON: device.type} | ({} if on_cuda else {THREADS: str(threads)}),
    }
    found = Measured(step_ms=tuple(times), before=before, after=after)
    said = f"{len(times)} rounds" + (f"; throttled: {found.throttled}" if found.throttled else "")
    subject.record(STEP_MS, middle, reason=said, **facts)
    record_machine(suite.record, subject.spec, found, facts)
    subject.record(STEP_MS_Q1, low, **facts)
    subject.record(STEP_MS_Q3, high, **facts)
    subject.record(IMAGES_PER_SECOND, 1000 * sizes[0] / middle, **facts)
    assert len(times) == profile.speed_rounds
