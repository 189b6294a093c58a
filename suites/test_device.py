"""What every other figure of a device stands on. On a CPU what is the same there is checked, the rest is skipped."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from harness.checks.device import (
    differing_passes,
    differing_pixels,
    differing_step,
    wrong_generators,
    wrong_workspaces,
)
from harness.memory.estimate import estimate, estimated_tensors, traced_tensors
from harness.memory.machine_state import machine_state
from harness.memory.measure import Cell, measure_cell
from harness.memory.nvml import driver_view
from harness.memory.record import MIB
from harness.memory.storage_tracer import UntraceableError
from harness.records.metrics import (
    CHECK,
    COMPUTED_ON,
    DEVICE_CHECK,
    DRIVER_MIB,
    MACHINE_FIGURES,
    TENSORS_OVER_ESTIMATE,
    WHEN,
)
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.device import IS_DETERMINISTIC, computed
from harness.training.device import numerics as computing
from harness.training.networks import made_networks
from harness.training.out_of_memory import OUT_OF_MEMORY

TOLERANCE = 0.02
TAKEN = 512 * MIB
THE_DEVICE = "(the device)"


def on_a_gpu(suite: Session) -> torch.device:
    if suite.device.type != "cuda":
        pytest.skip("a CPU has none of this: run it on a GPU")
    return suite.device


def batch_of(suite: Session, subject: Subject) -> int:
    card = subject.card
    return min(suite.profile.determinism_batch or card.batch_size, card.batch_size)


def record(
    suite: Session, spec: str, check: str, wrong: str, numerics: str = "", batch_size: int | None = None
) -> None:
    protocol = {CHECK: check, COMPUTED_ON: suite.device.type}
    if numerics:
        protocol |= computed(suite.device, deterministic=IS_DETERMINISTIC[numerics])
    suite.record(spec, DEVICE_CHECK, float(not wrong), reason=wrong, protocol=protocol, batch_size=batch_size)


def leave_a_cpu_to_other_suites(suite: Session) -> None:
    """On a CPU other suites see the same: they train twice there, and PyTorch's profiler looks on."""
    if suite.device.type != "cuda" and suite.profile.reduced_steps is not None:
        pytest.skip("on a CPU this is what the suites of determinism and memory see, too")


def test_bits_twice(subject: Subject, numerics: str, suite: Session) -> None:
    leave_a_cpu_to_other_suites(suite)
    subject = subject.trainable
    chosen, device, deterministic = subject.reference, suite.device, IS_DETERMINISTIC[numerics]
    batch = batch_of(suite, subject)
    wrong: dict[str, list[str]] = {}
    forked = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with forked, computing(device, deterministic=deterministic, threads=None):
        for role, card in chosen.card.networks.items():
            make = partial(lambda role: made_networks(chosen)[role], role)
            for passed, difference in differing_passes(make, card, batch, device).items():
                wrong.setdefault(passed, []).extend([f"{role}, {difference}"] if difference else [])
        difference = differing_step(chosen, batch, device)
        wrong["the step"] = [difference] if difference else []
    for passing, differences in wrong.items():
        record(suite, subject.spec, f"bits twice: {passing}", "; ".join(differences), numerics, batch_size=batch)
    if deterministic:  # cudnn.benchmark promises nothing: there the table tells, and nothing fails
        failed = [f"{passing}: {'; '.join(differences)}" for passing, differences in wrong.items() if differences]
        assert not failed, "; ".join(failed)


def test_tensors(subject: Subject, suite: Session) -> None:
    """What a step's tensors really hold on the device, each followed, and what is estimated of them."""
    leave_a_cpu_to_other_suites(suite)
    subject = subject.trainable
    chosen, device = subject.reference, suite.device
    on_cuda = device.type == "cuda"
    batch = chosen.card.batch_size
    if not on_cuda:
        batch, budget = min(suite.profile.profiled_batch, batch), suite.profile.cell_flops
        if budget is not None and batch * subject.operations_per_sample > budget:
            pytest.skip(f"following its step takes more operations than the profile {suite.profile.name} allows")
    try:
        expected = estimate(chosen, batch).tensors if on_cuda else estimated_tensors(chosen, batch)
    except UntraceableError as error:
        pytest.skip(str(error))
    forked = torch.random.fork_rng([device] if on_cuda else [])
    with forked, computing(device, deterministic=True, threads=None):
        seen = traced_tensors(chosen, batch, device)
    ratio = seen / expected
    off = f"{seen / MIB:.2f} MiB are {ratio:.4f} of the estimate" if abs(ratio - 1) > TOLERANCE else ""
    record(suite, subject.spec, "tensors as estimated", off, "deterministic", batch_size=batch)
    subject.record(
        TENSORS_OVER_ESTIMATE,
        ratio,
        batch_size=batch,
        computed=computed(device),
        protocol={COMPUTED_ON: device.type},
    )
    assert not off, off


def test_generators(suite: Session) -> None:
    wrong = wrong_generators(suite.device)
    record(suite, THE_DEVICE, "generators saved, restored, cloned", "; ".join(wrong))
    assert not wrong, "; ".join(wrong)


@pytest.mark.alone
def test_delivery(suite: Session) -> None:
    count = differing_pixels(suite.device)
    wrong = f"{count} values aren't those of the CPU" if count else ""
    record(suite, THE_DEVICE, "delivered pixels have the CPU's bits", wrong)
    assert not wrong, wrong


@pytest.mark.alone
def test_machine(suite: Session) -> None:
    """The driver answers, or it is said why not."""
    state = machine_state(suite.device)
    for name, value in state.figures.items():
        protocol = {COMPUTED_ON: suite.device.type, WHEN: "now"} | dict(state.words)
        suite.record(THE_DEVICE, MACHINE_FIGURES[name], value, protocol=protocol, reason=state.missing)
    if not state.figures:
        pytest.skip(state.missing or "this machine says nothing of its state")
    assert all(value >= 0 for value in state.figures.values())


@pytest.mark.alone
def test_workspaces(suite: Session) -> None:
    wrong = wrong_workspaces(on_a_gpu(suite))
    record(suite, THE_DEVICE, "products keep the workspaces that are counted", wrong)
    assert not wrong, wrong


@pytest.mark.alone
def test_driver(suite: Session) -> None:
    """What the driver says that this process holds grows by what it takes."""
    device = on_a_gpu(suite)
    torch.cuda.empty_cache()
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    before = driver_view(device)
    taken = torch.empty(TAKEN, dtype=torch.uint8, device=device)
    after = driver_view(device)
    del taken
    torch.cuda.empty_cache()
    if before.process is None or after.process is None:
        pytest.skip(before.missing or after.missing)
    grown = after.process - before.process
    wrong = "" if TAKEN <= grown <= 1.1 * TAKEN else f"{grown / MIB:.0f} MiB more for {TAKEN / MIB:.0f} that were taken"
    record(suite, THE_DEVICE, "the driver's figure grows by what is taken", wrong)
    suite.record(THE_DEVICE, DRIVER_MIB, after.process / MIB, protocol={COMPUTED_ON: "cuda"})
    assert not wrong, wrong


@pytest.mark.alone
def test_running_out(suite: Session) -> None:
    """Too large a batch is called that, and the next cell starts clean."""
    device = on_a_gpu(suite)
    subject = min((one.trainable for one in suite.subjects), key=lambda one: one.operations_per_sample)
    chosen, modules = subject.reference, suite.settings.modules
    own = chosen.card.batch_size
    per_sample = (estimate(chosen, 2 * own).tensors - estimate(chosen, own).tensors) / own
    large = int(4 * torch.cuda.get_device_properties(device).total_memory / per_sample)
    cells = [
        Cell(subject.spec, size, str(device), steps=2, modules=modules, traced=False) for size in (own, large, own)
    ]
    before, out, after = (measure_cell(cell) for cell in cells)
    wrong = ""
    if not out.ended.startswith((OUT_OF_MEMORY, "too large")):
        wrong = f"a batch of {large} ends with {out.ended!r}"
    elif (before.ended, after.ended) != ("", "") or before.peak_allocated != after.peak_allocated:
        wrong = f"before it {before.peak_allocated} bytes, after it {after.peak_allocated} {after.ended}"
    record(suite, THE_DEVICE, "running out is noticed, the next cell is clean", wrong)
    assert not wrong, wrong
