"""What a run would do, before it does: operations, measured steps, memory, disk, and the time on N devices."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pytest
import torch

from harness.comparison.baseline import read_record_set
from harness.memory.estimate import estimate
from harness.memory.storage_tracer import UntraceableError
from harness.records.metrics import DETERMINISTIC, NUMERICS, STEP_MS
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
_STATE_OF_WEIGHTS = 3  # Adam keeps two values for each weight
_DEVICES = (1, 2, 4, 8, 16, 64, 256, 1000)


@dataclass(frozen=True)
class Forecast:
    """What one unit would take.

    Attributes:
        name: the unit's.
        checks: how many.
        seeds: trainings, one for each.
        steps: of each of them.
        operations: floating-point operations of all of them.
        step_seconds: of one step, measured; 0 without a training, None where it wasn't.
        memory: estimated bytes of a training on a GPU; 0 without one.
        disk: bytes of the checkpoints that are kept.
        alone: whether it times the machine.
    """

    name: str
    checks: int
    seeds: int
    steps: int
    operations: float
    step_seconds: float | None
    memory: int
    disk: int
    alone: bool

    @property
    def seconds(self) -> float:
        """On one device like this: steps as measured, and something for each check."""
        return self.seeds * self.steps * (self.step_seconds or 0.0) + CHECK_SECONDS * self.checks


class Steps:
    """Seconds of a step: measured here, or in a report of `test_speed.py`.

    Raises:
        ValueError: the report holds none.
    """

    def __init__(self, suite: Session) -> None:
        self._suite, report = suite, suite.settings.steps_of
        self._there: dict[tuple[str, int | None], float] | None = None
        self.where = f"here, on {suite.recorder.environment['device']}"
        if report is None:
            return
        timed = [r for r in read_record_set(report) if r.metric == STEP_MS.name and r.value is not None]
        timed = [r for r in timed if r.protocol.get(NUMERICS, DETERMINISTIC) == DETERMINISTIC]  # as trainings are
        if not timed:
            raise ValueError(f"--steps-of {report} holds no measured steps: it takes a report of test_speed.py")
        self._there = {(r.reference, r.batch_size): (r.value or 0.0) / 1000 for r in timed}
        self.where = f"in {report}, on {', '.join(sorted({r.device for r in timed}))}"

    def seconds(self, subject: Subject) -> float | None:
        """Of one training's; None where the report hasn't it."""
        if self._there is not None:
            return self._there.get((subject.spec, subject.batch_size))
        return self._suite.once(("step", subject.spec), lambda: _timed(subject, self._suite.device))


def forecast(items: Sequence[pytest.Item], suite: Session, timed: Steps) -> list[Forecast]:
    """What each unit would take."""
    planned = plan(items, by_seed=True)
    units = [*planned.shared, *planned.alone]
    found = []
    for done, unit in enumerate(units):
        report_progress(_log, "units", done, len(units), detail=unit.name)
        found.append(_of(unit, suite, timed))
    return found


def _of(unit: Unit, suite: Session, timed: Steps) -> Forecast:
    trained = trainings(unit.items)
    checks = len(unit.items)
    if not trained:
        return Forecast(unit.name, checks, 0, 0, 0.0, 0.0, 0, 0, unit.alone)
    subject = trained[0][0]
    memory, state = suite.once(("room", subject.spec), lambda: _room(subject))
    operations = sum(one.training_operations for one, _ in trained)
    disk = _CHECKPOINTS * state * len(trained)
    seconds = timed.seconds(subject)
    return Forecast(unit.name, checks, len(trained), subject.steps, operations, seconds, memory, disk, unit.alone)


def _timed(subject: Subject, device: torch.device) -> float:
    """Seconds of a step here."""
    size, reference = subject.batch_size, subject.reference
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        numerics(device, deterministic=True, threads=step_threads(reference, size, device)),
    ):
        step = SyntheticStep(reference, size, device)
        step()  # makes the optimisers' state
        return step.seconds(_STEPS) / _STEPS


def _room(subject: Subject) -> tuple[int, int]:
    """Estimated bytes of a training on a GPU, 0 where it can't be followed; and of a checkpoint's state."""
    try:
        memory = estimate(subject.reference, subject.batch_size).peak_reserved
    except UntraceableError:
        memory = 0
    tensors = [t for network in subject.fresh_networks().values() for t in network.state_dict().values()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return memory, _STATE_OF_WEIGHTS * weights


def forecast_table(found: Sequence[Forecast]) -> pd.DataFrame:
    """A row for each unit, the longest first."""
    rows = [
        {
            "unit": one.name + (", alone" if one.alone else ""),
            "checks": one.checks,
            "steps": f"{one.seeds * one.steps:,}" if one.steps else "–",
            "operations": f"{one.operations:.1e}" if one.operations else "–",
            "a step, measured": _in_ms(one.step_seconds),
            "time": in_minutes(one.seconds) if one.step_seconds is not None else "unknown",
            "GPU memory, estimated": f"{one.memory / 2**20:,.0f} MiB" if one.memory else "–",
            "disk, estimated": f"{one.disk / 1e6:,.0f} MB" if one.disk else "–",
        }
        for one in sorted(found, key=lambda one: -one.seconds)
    ]
    return pd.DataFrame(rows)


def _in_ms(seconds: float | None) -> str:
    return "not measured" if seconds is None else f"{1000 * seconds:.3g} ms" if seconds else "–"


def devices_table(found: Sequence[Forecast]) -> pd.DataFrame:
    """How long it takes on N devices like this one: what is shared is dealt by time, the rest comes after it.

    A simulation: nothing waits, and nothing starts.
    """
    found = [one for one in found if one.step_seconds is not None]
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
