"""Which device a run uses, and how exactly PyTorch computes on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

# cuBLAS is deterministic only with a fixed workspace, and reads this once, when it starts.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
NUMERICS = {"deterministic": True, "as documented (cudnn.benchmark)": False}


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` to a device; `auto` is the first GPU if there is one.

    Raises:
        ValueError: another name, or a GPU that isn't there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or (index and not (index.isascii() and index.isdecimal())):
        raise ValueError(f"unknown device {name!r}; there are: auto, cpu, cuda, cuda:0, cuda:1, …")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise ValueError(f"the device {name!r} isn't there: PyTorch finds {count} CUDA devices")
    return torch.device("cuda", int(index or 0))


def numerics_of(device: torch.device) -> list[str]:
    """The ways of computing that there are on a device: on CUDA both of NUMERICS, on the CPU only one."""
    return list(NUMERICS) if device.type == "cuda" else ["deterministic"]


@contextlib.contextmanager
def numerics(device: torch.device, *, deterministic: bool, threads: int | None) -> Iterator[None]:
    """Within, PyTorch computes as asked; afterwards its settings are as before.

    `deterministic` asks CUDA for algorithms that give the same bits every time. Without it, `cudnn.benchmark` is on,
    as document 000 sets it. On the CPU the algorithms are the same either way.
    """
    cudnn = torch.backends.cudnn
    before = (cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled())
    threads_before = torch.get_num_threads()
    try:
        if device.type == "cuda":
            cudnn.benchmark = not deterministic
            cudnn.deterministic = deterministic
            torch.use_deterministic_algorithms(deterministic)
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before[:2]
        torch.use_deterministic_algorithms(before[2])
        torch.set_num_threads(threads_before)
