"""What a run would do, before it does: operations, measured steps, memory, disk, and the time on N devices."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pytest
import torch

from harness.memory.estimate import estimate
from harness.memory.storage_tracer import UntraceableError
from harness.records.progress import report_progress
from harness.suite.costs import trainings
from harness.suite.pace import in_minutes
from harness.suite.session import Session
from harness.suite.shards import dealt
from harness.suite.subject import Subject
from harness.suite.units import Unit, plan
from harness.training.device import numerics
from harness.training.flops import step_threads
from harness.training.synthetic_step import SyntheticStep

_log = logging.getLogger(__name__)
CHECK_SECONDS = 2.0  # assumed of a check beside its trainings
_STEPS = 3
_CHECKPOINTS = 3  # of a training that are kept
_DEVICES = (1, 2, 4, 8, 16, 64, 256, 1000)


@dataclass(frozen=True)
class Forecast:
    """What one unit would take.

    Attributes:
        key: the unit's.
        checks: how many.
        seeds: trainings, one for each.
        steps: of each of them.
        operations: floating-point operations of all of them.
        step_seconds: of one step here, measured; 0 without a training.
        memory: estimated bytes of a training on a GPU; 0 without one.
        disk: bytes of the checkpoints that are kept.
        alone: whether it times the machine.
    """

    key: str
    checks: int
    seeds: int
    steps: int
    operations: float
    step_seconds: float
    memory: int
    disk: int
    alone: bool

    @property
    def seconds(self) -> float:
        """On one device like this: steps as measured, and something for each check."""
        return self.seeds * self.steps * self.step_seconds + CHECK_SECONDS * self.checks


def forecast(items: Sequence[pytest.Item], suite: Session) -> list[Forecast]:
    """What each unit would take; some steps of each training are timed here."""
    planned = plan(items, by_seed=True)
    units = [*planned.shared, *planned.alone]
    found = []
    for done, unit in enumerate(units):
        report_progress(_log, "units", done, len(units), detail=unit.key)
        found.append(_of(unit, suite))
    return found


def _of(unit: Unit, suite: Session) -> Forecast:
    trained = trainings(unit.items)
    checks = len(unit.items)
    if not trained:
        return Forecast(unit.key, checks, 0, 0, 0.0, 0.0, 0, 0, unit.alone)
    subject = trained[0][0]
    seconds, memory, state = suite.once(("forecast", subject.spec), lambda: _measured(subject, suite.device))
    operations = sum(one.training_operations for one, _ in trained)
    disk = _CHECKPOINTS * state * len(trained)
    return Forecast(unit.key, checks, len(trained), subject.steps, operations, seconds, memory, disk, unit.alone)


def _measured(subject: Subject, device: torch.device) -> tuple[float, int, int]:
    """Seconds of a step here, estimated bytes of one on a GPU, and bytes of the state that a checkpoint holds."""
    size, reference = subject.batch_size, subject.reference
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        numerics(device, deterministic=True, threads=step_threads(reference, size, device)),
    ):
        step = SyntheticStep(reference, size, device)
        step()  # makes the optimisers' state
        seconds = step.seconds(_STEPS) / _STEPS
        tensors = [t for network in step.networks.values() for t in network.state_dict().values()]
        for optimizer in step.system.optimizers.values():
            tensors += [t for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor)]
        state = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    try:
        memory = estimate(reference, size).peak_reserved
    except UntraceableError:
        memory = 0
    return seconds, memory, state


def forecast_table(found: Sequence[Forecast]) -> pd.DataFrame:
    """A row for each unit, the longest first."""
    rows = [
        {
            "unit": one.key.removeprefix("subject ") + (", alone" if one.alone else ""),
            "checks": one.checks,
            "steps": f"{one.seeds * one.steps:,}" if one.steps else "–",
            "operations": f"{one.operations:.1e}" if one.operations else "–",
            "a step, measured": f"{1000 * one.step_seconds:.3g} ms" if one.step_seconds else "–",
            "time": in_minutes(one.seconds),
            "GPU memory, estimated": f"{one.memory / 2**20:,.0f} MiB" if one.memory else "–",
            "disk": f"{one.disk / 1e6:,.0f} MB" if one.disk else "–",
        }
        for one in sorted(found, key=lambda one: -one.seconds)
    ]
    return pd.DataFrame(rows)


def devices_table(found: Sequence[Forecast]) -> pd.DataFrame:
    """How long it takes on N devices like this one: what is shared is dealt by time, the rest comes after it."""
    shared = [one.seconds for one in found if not one.alone]
    after = sum(one.seconds for one in found if one.alone)
    whole, longest = sum(shared) + after, max(shared, default=0.0)
    rows = []
    for count in _DEVICES:
        took = max((sum(shared[index] for index in hand) for hand in dealt(shared, count)), default=0.0)
        ideal = whole / (took + after) / count if took + after else 1.0
        rows.append(
            {
                "devices": count,
                "time": in_minutes(took + after),
                "of that the longest unit": f"{longest / took:.0%}" if took else "–",
                "use of the devices": f"{ideal:.0%}",
            }
        )
        if took <= longest * 1.001:  # more devices have nothing to do
            break
    return pd.DataFrame(rows)
