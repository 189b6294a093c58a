"""What the GPU's driver says of memory, through NVML: the figure that nvidia-smi shows and the documents report."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

MIB = 2**20


@dataclass(frozen=True)
class DriverView:
    """Memory on one card, bytes.

    Attributes:
        process: what this process holds by the driver's count, context included; None when the driver doesn't say.
        used: what is used on the card altogether; None likewise.
        others: every other process that holds memory there, in words.
        missing: why something is None.
    """

    process: int | None = None
    used: int | None = None
    others: tuple[str, ...] = ()
    missing: str = ""


class NvmlError(Exception):
    """NVML isn't there, or doesn't answer; in words."""


@contextlib.contextmanager
def nvml_handle(device: torch.device) -> Iterator[tuple[Any, Any]]:
    """pynvml and its handle of the card behind a CUDA device.

    Raises:
        NvmlError: whatever goes wrong, also within.
    """
    try:
        import pynvml
    except ImportError as error:
        raise NvmlError(f"NVML can't be asked: {error}") from error
    try:
        pynvml.nvmlInit()
    except Exception as error:  # NVML raises its own types
        raise NvmlError(f"NVML can't be asked: {error}") from error
    try:
        yield pynvml, _handle(pynvml, device)
    except Exception as error:
        raise NvmlError(f"NVML doesn't answer: {error}") from error
    finally:
        with contextlib.suppress(Exception):
            pynvml.nvmlShutdown()


def driver_view(device: torch.device) -> DriverView:
    """Ask NVML; whatever goes wrong is said, and nothing raises."""
    try:
        with nvml_handle(device) as (nvml, handle):
            return _ask(nvml, handle, torch.cuda.memory_reserved(device))
    except NvmlError as error:
        return DriverView(missing=str(error))


def _handle(nvml: Any, device: torch.device) -> Any:
    """The card, or slice of one (MIG), behind a CUDA device, by its identifier: its number needn't be the driver's."""
    identifier = str(torch.cuda.get_device_properties(device).uuid)
    if identifier.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(identifier)
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{identifier}")
    except Exception as error:
        try:
            return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{identifier}")
        except Exception:
            raise error from None


def _ask(nvml: Any, handle: Any, reserved: int) -> DriverView:
    """What a process holds counts only if it is believable: drivers in containers say 0, or a stranger's figure."""
    used = int(nvml.nvmlDeviceGetMemoryInfo(handle).used)
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    own = [p for p in processes if p.pid == os.getpid()]
    others = tuple(_described(p) for p in processes if p.pid != os.getpid())
    if not own:
        return DriverView(None, used, others, "the driver lists this process under no number of its own (a container)")
    if not own[0].usedGpuMemory:
        return DriverView(None, used, others, "the driver doesn't say what a process holds")
    if own[0].usedGpuMemory < reserved:
        return DriverView(None, used, others, "what the driver says of this process' number is less than it holds")
    return DriverView(int(own[0].usedGpuMemory), used, others)


def _described(process: Any) -> str:
    who = "the process that started this one" if process.pid == os.getppid() else f"process {process.pid}"
    known = process.usedGpuMemory is not None
    return f"{who}, {process.usedGpuMemory / MIB:.0f} MiB" if known else f"{who}, memory unknown"
