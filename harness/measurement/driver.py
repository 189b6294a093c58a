"""What the GPU's driver says of memory, through NVML: the figure that nvidia-smi shows and the documents report."""

from __future__ import annotations

import contextlib
import os
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


def driver_view(device: torch.device) -> DriverView:
    """Ask NVML; whatever goes wrong is said, and nothing raises."""
    try:
        import pynvml
    except ImportError as error:
        return DriverView(missing=f"NVML can't be asked: {error}")
    try:
        pynvml.nvmlInit()
    except Exception as error:  # NVML raises its own types
        return DriverView(missing=f"NVML can't be asked: {error}")
    try:
        return _ask(pynvml, _handle(pynvml, device))
    except Exception as error:
        return DriverView(missing=f"NVML doesn't answer: {error}")
    finally:
        with contextlib.suppress(Exception):
            pynvml.nvmlShutdown()


def _handle(nvml: Any, device: torch.device) -> Any:
    """The card behind a CUDA device, by its identifier: CUDA's numbers needn't be the driver's."""
    identifier = str(torch.cuda.get_device_properties(device).uuid)
    return nvml.nvmlDeviceGetHandleByUUID(
        identifier if identifier.startswith(("GPU-", "MIG-")) else f"GPU-{identifier}"
    )


def _ask(nvml: Any, handle: Any) -> DriverView:
    used = int(nvml.nvmlDeviceGetMemoryInfo(handle).used)
    processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    own = [p for p in processes if p.pid == os.getpid()]
    others = tuple(_described(p) for p in processes if p.pid != os.getpid())
    if not own:
        return DriverView(None, used, others, "the driver lists this process under no number of its own (a container)")
    if own[0].usedGpuMemory is None:
        return DriverView(None, used, others, "the driver doesn't say what a process holds")
    return DriverView(int(own[0].usedGpuMemory), used, others)


def _described(process: Any) -> str:
    who = "the process that started this one" if process.pid == os.getppid() else f"process {process.pid}"
    known = process.usedGpuMemory is not None
    return f"{who}, {process.usedGpuMemory / MIB:.0f} MiB" if known else f"{who}, memory unknown"
