"""One cell of the memory and speed tables: a reference at a batch size, measured in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from statistics import median, quantiles
from typing import Any

import psutil
import torch

from harness.measurement.driver import DriverView, driver_view
from harness.measurement.prepared import PreparedStep
from harness.training.device import numerics, resolve_device
from reference import get, load_module

if sys.platform != "win32":
    import resource

_WARM_UP = 3
_FEWEST = 3
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Cell:
    """What to measure: at most `steps` steps, and no more (but three) once `seconds` have passed.

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

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise ValueError(f"to be timed, a step must run twice or more, not {self.steps} times")


@dataclass(frozen=True)
class Measured:
    """What a cell took. Bytes; milliseconds for every timed step.

    Attributes:
        ended: "" when the step ran, else what kept it from running ("out of memory").
        peak_allocated, peak_reserved: of PyTorch's allocator on CUDA, None on the CPU.
        context: what the process holds on the card before the first tensor's segment, by the driver.
        available: what is free on the card then, for the allocator to reserve.
        driver: what the process holds in the end, by the driver; `driver_how` says how that was found, or why not.
        others: other processes that hold memory on the card.
        resident_before, resident: the process' own memory (RAM) before the networks are made, and at its highest.
    """

    ended: str = ""
    step_ms: tuple[float, ...] = ()
    peak_allocated: int | None = None
    peak_reserved: int | None = None
    context: int | None = None
    available: int | None = None
    driver: int | None = None
    driver_how: str = ""
    others: tuple[str, ...] = ()
    resident_before: int | None = None
    resident: int | None = None

    @property
    def median_ms(self) -> float:
        """The median step time."""
        return median(self.step_ms)

    @property
    def quartiles_ms(self) -> tuple[float, float]:
        """The first and the third quartile of the step times."""
        low, _, high = quantiles(self.step_ms, n=4, method="inclusive")
        return low, high


def measure(cell: Cell) -> Measured:
    """Measure `cell` in a fresh process, so that nothing of an earlier cell is left in memory or in a cache.

    On Linux without CUDA the process is a copy of one that has imported PyTorch and done nothing else; otherwise it
    starts from nothing.

    Raises:
        ValueError: the reference refuses this batch size, or the device isn't there.
        RuntimeError: the step itself fails.
    """
    context = _context(cell.device)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_and_send, args=(theirs, cell), daemon=True)
    process.start()
    theirs.close()
    try:
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
    return Measured(**answer)


def measure_here(cell: Cell) -> Measured:
    """Measure `cell` in this process.

    Raises:
        ValueError: as `measure`.
    """
    for module in cell.modules:
        load_module(module)
    device = resolve_device(cell.device)
    with numerics(device, deterministic=cell.deterministic, threads=None):
        if device.type == "cpu":
            return _on_cpu(cell)
        with torch.cuda.device(device):
            return _on_cuda(cell, device)


def _on_cpu(cell: Cell) -> Measured:
    before = psutil.Process().memory_info().rss
    with _running_out() as out:
        prepared = PreparedStep(get(cell.spec), cell.batch_size, torch.device("cpu"))
        for _ in range(_WARM_UP):
            prepared()
        times = []
        for _ in _rounds(cell):
            began = time.perf_counter()
            prepared()
            times.append(1000 * (time.perf_counter() - began))
    if out:
        return Measured(ended=OUT_OF_MEMORY, resident_before=before)
    return Measured(step_ms=tuple(times), resident_before=before, resident=max(_peak_resident(), before))


def _on_cuda(cell: Cell, device: torch.device) -> Measured:
    idle = driver_view(device)
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    opened = driver_view(device)
    context = _held(opened, idle)
    if context is not None:
        context -= torch.cuda.memory_reserved(device)
    available = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    with _running_out() as out:
        prepared = PreparedStep(get(cell.spec), cell.batch_size, device)
        for _ in range(_WARM_UP):
            prepared()
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        marks = [_mark()]
        for _ in _rounds(cell, device):
            prepared()
            marks.append(_mark())
        torch.cuda.synchronize(device)
    if out:
        return Measured(ended=OUT_OF_MEMORY, context=context, available=available, others=idle.others)
    busy = driver_view(device)
    return Measured(
        step_ms=tuple(a.elapsed_time(b) for a, b in pairwise(marks)),
        peak_allocated=torch.cuda.max_memory_allocated(device),
        peak_reserved=torch.cuda.max_memory_reserved(device),
        context=context,
        available=available,
        driver=_held(busy, idle),
        driver_how=_how(busy),
        others=idle.others,
    )


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

    On CUDA steps are queued and not waited for: the clock is looked at, and the device waited for, now and then.
    """
    began = time.perf_counter()
    for done in range(cell.steps):
        if done >= _FEWEST and time.perf_counter() - began > cell.seconds:
            return
        if device is not None and done % 10 == 9:
            torch.cuda.synchronize(device)
        yield done


@contextlib.contextmanager
def _running_out() -> Iterator[list[str]]:
    """Within, an allocation that fails ends the block and is noted; other errors pass."""
    noted: list[str] = []
    try:
        yield noted
    except (torch.cuda.OutOfMemoryError, MemoryError):
        noted.append(OUT_OF_MEMORY)
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        noted.append(OUT_OF_MEMORY)


def _peak_resident() -> int:
    """The highest resident size of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _measure_and_send(connection: Connection[Any, Any], cell: Cell) -> None:
    try:
        answer: tuple[str, Any] = ("measured", dataclasses.asdict(measure_here(cell)))
    except ValueError as error:
        answer = ("refused", str(error))
    except Exception as error:  # a stranger's step may raise anything; the parent says which
        answer = ("failed", f"{type(error).__name__}: {error}")
    connection.send(answer)
    connection.close()


def _context(device: str) -> ForkServerContext | SpawnContext:
    if not sys.platform.startswith("linux") or device.startswith("cuda"):
        return multiprocessing.get_context("spawn")
    multiprocessing.set_forkserver_preload([__name__])
    return multiprocessing.get_context("forkserver")


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
        killed = f"{OUT_OF_MEMORY}: the system ended the process" if -code == signal.SIGKILL else "the process ended"
        return f"{killed} ({name})"
    return f"the process ended with code {code} and said nothing"
