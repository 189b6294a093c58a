"""What a number was measured on: machine, device, versions."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pillow", "safetensors", "torch-fidelity", "lmdb")


def environment(device: torch.device) -> dict[str, Any]:
    """The facts about this machine that decide whether bits and times may be compared, as JSON types."""
    facts = dict(_machine()) | {"device": device_name(device), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        facts |= {"cuda": torch.version.cuda, "driver": _driver(), "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    return facts


def fingerprint(facts: dict[str, Any]) -> str:
    """12 hexadecimal digits that tell one `environment` from another: records carry them instead of the facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def device_name(device: torch.device) -> str:
    """What the device calls itself: the card's name, or the processor's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


@functools.cache
def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


@functools.cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def _driver() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        pynvml.nvmlShutdown()
        return str(version)
    except Exception as error:  # NVML raises its own types, and none of them may stop a run
        return f"unknown ({error})"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
