"""One cell of the memory and speed tables: a reference at a batch size, measured in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import math
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from statistics import median, quantiles
from typing import Any

import psutil
import torch

from harness.memory.estimate import traced_tensors
from harness.memory.machine_state import MachineState, machine_state, throttling
from harness.memory.nvml import DriverView, driver_view
from harness.training.device import numerics, resolve_device
from harness.training.flops import step_threads
from harness.training.fresh import fresh_processes
from harness.training.out_of_memory import OUT_OF_MEMORY, how_it_ran_out
from harness.training.synthetic_step import SyntheticStep
from reference import get, load_module

if sys.platform != "win32":
    import resource

_WARM_UP = 3
_MIN_STEPS = 3
_PATIENCE = 300  # seconds beside the timed ones, for imports, searches for algorithms and warming up
_ENDING = 10  # seconds
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Cell:
    """What to measure_cell: at most `steps` steps, and no more (but three) once `seconds` have passed.

    With `traced`, a card runs one more step in which every tensor is followed: it takes seconds.

    `deterministic` plays a part on CUDA only; False is `cudnn.benchmark`, as document 000 sets it.

    Raises:
        ValueError: fewer than two steps.
    """

    spec: str
    batch_size: int
    device: str
    deterministic: bool = True
    steps: int = 50
    seconds: float = 60.0
    modules: tuple[str, ...] = ()
    traced: bool = True

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"to be timed, a step must run twice or more, not {self.steps} times")


@dataclass(frozen=True)
class Measured:
    """What a cell took. Bytes; milliseconds for every timed step.

    Attributes:
        ended: "" when the step ran, else what kept it from running ("out of memory").
        peak_allocated, peak_reserved: of PyTorch's allocator on CUDA, None on the CPU.
        tensors: what tensors hold at the peak of a step on the card, each followed; None if it wasn't traced.
        context: what the process holds on the card beside what the allocator has reserved, in the end, by the driver:
            the CUDA context, and the libraries and kernels that were loaded on the way.
        bare_context: the same before anything was loaded.
        available: what there is in the end for the allocator to reserve, in its hands or free.
        driver: what the process holds in the end, by the driver; `driver_how` says how that was found, or why not.
        others: other processes that hold memory on the card.
        resident_before, resident: the process' own memory (RAM) before the networks are made, and at its highest.
        threads: CPU threads that computed.
        before, after: the machine before the timed steps and during the last of them.
    """

    ended: str = ""
    step_ms: tuple[float, ...] = ()
    peak_allocated: int | None = None
    peak_reserved: int | None = None
    tensors: int | None = None
    context: int | None = None
    bare_context: int | None = None
    available: int | None = None
    driver: int | None = None
    driver_how: str = ""
    others: tuple[str, ...] = ()
    resident_before: int | None = None
    resident: int | None = None
    threads: int | None = None
    before: MachineState = field(default_factory=MachineState)
    after: MachineState = field(default_factory=MachineState)

    @property
    def throttled(self) -> str:
        """What held the machine back while steps were timed, in words; "" for nothing that is known."""
        return throttling(self.before, self.after)

    @property
    def median_ms(self) -> float:
        """The median step time."""
        return median(self.step_ms)

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """The first and the third quartile of the step times."""
        low, _, high = quantiles(self.step_ms, n=4, method="inclusive")
        return low, high


def measure_cell(cell: Cell, patience: float = math.inf) -> Measured:
    """Measure `cell` in a fresh process, so that nothing of an earlier cell is left in memory or in a cache.

    On Linux without CUDA the process is a copy of one that has imported PyTorch and done nothing else; otherwise it
    starts from nothing. A card that doesn't answer within `patience` seconds, and five minutes at most beside the timed
    steps, is given up.

    Raises:
        ValueError: the reference refuses this batch size, or the device isn't there.
        RuntimeError: the step itself fails.
    """
    on_cuda = cell.device.startswith("cuda")
    if on_cuda and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()  # what this process has cached there isn't free for the other one
    context = _context(cell.device)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_and_send, args=(theirs, cell), daemon=True)
    process.start()
    theirs.close()
    try:
        patience = min(patience, cell.seconds + _PATIENCE)
        if not ours.poll(patience if on_cuda else None):  # a driver that hangs would hang whoever waits for it
            process.kill()
            process.join(_ENDING)  # one that hangs within the driver can't even be ended
            return Measured(ended=f"{NO_ANSWER} within {patience:.0f} s: the process was ended")
        kind, answer = ours.recv()
    except EOFError:
        process.join()
        return Measured(ended=_how_it_ended(process.exitcode))
    finally:
        ours.close()
    process.join()
    if kind == "refused":
        raise ValueError(answer)
    if kind == "failed":
        raise RuntimeError(f"{cell.spec} at batch {cell.batch_size} on {cell.device}: {answer}")
    assert isinstance(answer, Measured)
    return answer


def measure_here(cell: Cell) -> Measured:
    """Measure `cell` in this process.

    Raises:
        ValueError: as `measure_cell`.
    """
    for module in cell.modules:
        load_module(module)
    device = resolve_device(cell.device)
    threads = step_threads(get(cell.spec), cell.batch_size, device)
    with numerics(device, deterministic=cell.deterministic, threads=threads):
        if device.type == "cpu":
            return _on_cpu(cell)
        with torch.cuda.device(device):
            return _on_cuda(cell, device)


def _on_cpu(cell: Cell) -> Measured:
    before = psutil.Process().memory_info().rss
    with _running_out() as out:
        prepared = SyntheticStep(get(cell.spec), cell.batch_size, torch.device("cpu"))
        for _ in range(_WARM_UP):
            prepared()
        state, times = machine_state(torch.device("cpu")), []
        for _ in _rounds(cell):
            began = time.perf_counter()
            prepared()
            times.append(1000 * (time.perf_counter() - began))
    if out:
        return Measured(ended=out[0], resident_before=before)
    return Measured(
        step_ms=tuple(times),
        resident_before=before,
        resident=max(_peak_resident(), before),
        threads=torch.get_num_threads(),
        before=state,
        after=machine_state(torch.device("cpu")),
    )


def _on_cuda(cell: Cell, device: torch.device) -> Measured:
    idle = driver_view(device)
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    opened = driver_view(device)
    bare, others = _beside_the_allocator(opened, idle, device), _others(idle, opened)
    with _running_out() as out:
        prepared = SyntheticStep(get(cell.spec), cell.batch_size, device)
        for _ in range(_WARM_UP):
            prepared()
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = machine_state(device)
        marks = [_mark()]
        for _ in _rounds(cell, device):
            prepared()
            marks.append(_mark())
        after = machine_state(device)  # while the last steps still run: an idle card has other clocks
        torch.cuda.synchronize(device)
    busy = driver_view(device)
    seen = Measured(
        ended=out[0] if out else "",
        context=_beside_the_allocator(busy, idle, device),
        bare_context=bare,
        available=torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device),
        others=others,
    )
    if out:
        return seen
    seen = dataclasses.replace(
        seen,
        step_ms=tuple(a.elapsed_time(b) for a, b in pairwise(marks)),
        peak_allocated=torch.cuda.max_memory_allocated(device),
        peak_reserved=torch.cuda.max_memory_reserved(device),
        driver=_held(busy, idle),
        driver_how=_how(busy),
        threads=torch.get_num_threads(),
        before=before,
        after=after,
    )
    if not cell.traced:
        return seen
    del prepared
    gc.collect()
    torch.cuda.empty_cache()
    # What the step's tensors alone hold; following them takes no memory of the card, but leaves its cache in pieces.
    with _running_out():
        return dataclasses.replace(seen, tensors=traced_tensors(get(cell.spec), cell.batch_size, device))
    return seen


def _beside_the_allocator(now: DriverView, idle: DriverView, device: torch.device) -> int | None:
    """What the process holds beside what PyTorch's allocator has reserved."""
    held = _held(now, idle)
    return None if held is None else held - torch.cuda.memory_reserved(device)


def _others(idle: DriverView, opened: DriverView) -> tuple[str, ...]:
    """Who held memory on the card before this process did; where the host numbers processes, that may be its parent."""
    if opened.process is not None or opened.used is None:
        return idle.others
    return tuple(f"{other} (by the host's numbers: it may be the one that started this)" for other in idle.others)


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _held(now: DriverView, before: DriverView) -> int | None:
    """What this process holds: as the driver counts it, else what the card's use has grown by."""
    if now.process is not None:
        return now.process
    if now.used is None or before.used is None:
        return None
    return now.used - before.used


def _how(view: DriverView) -> str:
    if view.process is not None:
        return "the driver's count for the process"
    return f"growth of the card's used memory; {view.missing}" if view.used is not None else view.missing


def _rounds(cell: Cell, device: torch.device | None = None) -> Iterator[int]:
    """As many rounds as asked for; after `seconds` no more, but three there are.

    On CUDA steps are queued and not waited for: the clock is looked at after the first few and now and then, and the
    device is waited for then.
    """
    began = time.perf_counter()
    for done in range(cell.steps):
        if device is not None and (done == _MIN_STEPS or done % 10 == 9):
            torch.cuda.synchronize(device)
        if done >= _MIN_STEPS and time.perf_counter() - began > cell.seconds:
            return
        yield done


@contextlib.contextmanager
def _running_out() -> Iterator[list[str]]:
    """Within, a step that doesn't fit ends the block and is noted, in words; other errors pass."""
    noted: list[str] = []
    try:
        yield noted
    except (MemoryError, RuntimeError) as error:
        words = how_it_ran_out(error)
        if words is None:
            raise
        noted.append(words)


def _peak_resident() -> int:
    """The highest resident size of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _measure_and_send(connection: Connection[Any, Any], cell: Cell) -> None:
    try:
        answer: tuple[str, Any] = ("measured", measure_here(cell))
    except ValueError as error:
        answer = ("refused", str(error))
    except Exception as error:  # a stranger's step may raise anything; the parent says which
        answer = ("failed", f"{type(error).__name__}: {error}")
    connection.send(answer)
    connection.close()


def _context(device: str) -> ForkServerContext | SpawnContext:
    if not sys.platform.startswith("linux") or device.startswith("cuda"):
        return multiprocessing.get_context("spawn")
    return fresh_processes()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        killed = f"{OUT_OF_MEMORY}: the system ended the process" if -code == signal.SIGKILL else "the process ended"
        return f"{killed} ({name})"
    return f"the process ended with code {code} and said nothing"
