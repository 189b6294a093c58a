"""What a number was measured on: machine, device, versions."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from harness.records.processors import usable_processors

CONVOLUTIONS, PRODUCTS = "float32 convolutions", "float32 products"
_MOVES_BITS = ("device", "versions", "cudnn", CONVOLUTIONS, PRODUCTS)
_TF32_SINCE = (8, 0)  # compute capability: Ampere
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING")
_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_WORKSPACE_SIZE", "TORCH_CUBLAS_WORKSPACE_CACHE", "NVIDIA_TF32_OVERRIDE")
_PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pillow", "safetensors", "torch-fidelity", "lmdb")


def environment(device: torch.device) -> dict[str, Any]:
    """The facts about this machine that decide whether bits and times may be compared, as JSON types.

    PyTorch's settings are those of this moment: a run's own, for it asks while it computes; a report's are those that
    it began with, and the protocol of each of its figures says what was set for that.
    """
    facts = dict(_machine()) | {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "usable_processors": usable_processors(),
        "waiting": _set(_WAITING),
        **float32_precision(device),
        "matmul_precision": _matmul_precision(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }
    if device.type == "cuda":
        cudnn = torch.backends.cudnn
        facts |= {
            "cuda": torch.version.cuda,
            "driver": _driver(),
            "cudnn": str(cudnn.version()),  # type: ignore[no-untyped-call]
            "cudnn_benchmark": cudnn.benchmark,
            "cudnn_deterministic": cudnn.deterministic,
            "cublas": _set(_CUBLAS),
            "allocator": _set(_ALLOCATOR),
        }
    return facts


def float32_precision(device: torch.device) -> dict[str, str]:
    """What is left of float32 values in convolutions and matrix products: ieee (all of it), tf32 or bf16.

    As PyTorch is set at this moment, and as the card can: before Ampere there was no TF32.
    """
    backends: Any = torch.backends
    if device.type == "cuda":
        found = {CONVOLUTIONS: backends.cudnn.conv.fp32_precision, PRODUCTS: backends.cuda.matmul.fp32_precision}
        overridden = os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"
        if overridden or torch.cuda.get_device_capability(device) < _TF32_SINCE:
            found = {what: "ieee" if value == "tf32" else value for what, value in found.items()}
    else:
        found = {CONVOLUTIONS: backends.mkldnn.conv.fp32_precision, PRODUCTS: backends.mkldnn.matmul.fp32_precision}
    return {what: "ieee" if value == "none" else value for what, value in found.items()}


def allocator_settings() -> str:
    """The environment's variables that make PyTorch's CUDA allocator another than by default; "" for none."""
    return _set(_ALLOCATOR)


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set by PyTorch's older and newer ways at once
        return "mixed"


def _set(variables: Sequence[str]) -> str:
    """Those of the environment's variables that are set, in one line."""
    return " ".join(f"{name}={os.environ[name]}" for name in variables if name in os.environ)


def moved_bits(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What may give a training other bits in one `environment` than in another: its name, and both values."""
    pairs = [(name, there.get(name), here.get(name)) for name in _MOVES_BITS]
    return [(name, one, other) for name, one, other in pairs if one != other]


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
