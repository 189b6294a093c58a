"""Which device a run uses, and how exactly PyTorch computes on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import threadpoolctl
import torch

from harness.records.environment import float32_precision
from harness.records.metrics import AS_DOCUMENTED, DETERMINISTIC
from harness.records.processors import usable_processors

# cuBLAS is deterministic only with a fixed workspace, and reads this once, when it starts.
WORKSPACE_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
os.environ.setdefault(WORKSPACE_VARIABLE, ":4096:8")
_REPRODUCIBLE_WORKSPACES = (":4096:8", ":16:8")  # those with which PyTorch lets cuBLAS take part in deterministic mode
IS_DETERMINISTIC = {DETERMINISTIC: True, AS_DOCUMENTED: False}


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` to a device; `auto` is the first GPU if there is one.

    Raises:
        ValueError: another name, or a GPU that isn't there or can't be used, with the reason.
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
        why = why_no_gpu() if not count else "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ValueError(f"the device {name!r} isn't there: {f'there are {count}: ' if count else ''}{why}")
    return torch.device("cuda", int(index or 0))


def why_no_gpu() -> str:
    """Why PyTorch finds no GPU, in words that say what would help; "" where it finds one."""
    if torch.cuda.is_available() and torch.cuda.device_count():
        return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this PyTorch ({torch.__version__}) is built without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible.strip():
        return "CUDA_VISIBLE_DEVICES is empty, which hides every GPU"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        said = " ".join(str(error).split("\n")[0].split())
        if "driver on your system is too old" in said or "insufficient" in said:
            return f"the driver is older than this PyTorch's CUDA {torch.version.cuda} needs: {said}"
        if visible is not None:
            return f"CUDA_VISIBLE_DEVICES is {visible!r}, and no such GPU can be used: {said}"
        return said
    return "PyTorch finds no GPU" + ("" if visible is None else f" with CUDA_VISIBLE_DEVICES {visible!r}")


def unusable_gpu() -> str:
    """Why a GPU that seems to be there isn't used; "" where there is no sign of one, or where PyTorch finds it."""
    signs = Path("/proc/driver/nvidia/version").exists() or bool(os.environ.get("CUDA_VISIBLE_DEVICES", "").strip())
    return why_no_gpu() if signs else ""


def numerics_of(device: torch.device) -> list[str]:
    """The ways of computing that there are on a device: on CUDA both of IS_DETERMINISTIC, on the CPU only one."""
    return list(IS_DETERMINISTIC) if device.type == "cuda" else [DETERMINISTIC]


def computed(device: torch.device, *, deterministic: bool = True) -> dict[str, str]:
    """How figures of a device come about, for their protocol: the numerics, and the precision of float32 products."""
    way = numerics_name(deterministic=deterministic or device.type == "cpu")
    return {"numerics": way, **float32_precision(device)}


def numerics_name(*, deterministic: bool) -> str:
    """What IS_DETERMINISTIC calls it."""
    return next(name for name, value in IS_DETERMINISTIC.items() if value == deterministic)


def available_threads() -> int:
    """How many threads PyTorch would compute with on the CPU, but no more than there are processors for."""
    return min(torch.get_num_threads(), usable_processors())


@contextlib.contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Within, PyTorch computes with `count` threads on the CPU, and NumPy's and SciPy's matrix products with no more.

    They keep threads of their own, of which those of several processes wait for each other: beside a busy process the
    KID of a thousand samples took 4.4 s of processor time with two, 1.5 s with one. None leaves all as it is.
    """
    if count is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpoolctl.threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def numerics(device: torch.device, *, deterministic: bool, threads: int | None) -> Iterator[None]:
    """Within, PyTorch computes as asked; afterwards its settings are as before.

    `deterministic` asks CUDA for algorithms that give the same bits every time, and for backward passes in the calling
    thread. Without it, `cudnn.benchmark` is on, as document 000 sets it. On the CPU all is the same either way.
    `threads` None is `available_threads`.

    Raises:
        ValueError: deterministic computing on CUDA with a CUBLAS_WORKSPACE_CONFIG that doesn't allow it.
    """
    cudnn, filling = torch.backends.cudnn, cast(Any, torch.utils.deterministic)
    before = (cudnn.benchmark, cudnn.deterministic)
    mode, filled = torch.get_deterministic_debug_mode(), filling.fill_uninitialized_memory
    threads_before = torch.get_num_threads()
    backward = contextlib.ExitStack()
    try:
        if device.type == "cuda":
            if deterministic:
                check_workspace_variable()
                # Autograd runs nodes by their numbers, which each thread counts for itself. A gradient penalty's nodes
                # are made in the thread of the device, and whether they come before or after those of the forward pass
                # depends on how many either thread has made since the process began: sums of three gradients and
                # more change their order, and their bits, between a fresh process and one that has trained before.
                backward.enter_context(torch.autograd.set_multithreading_enabled(False))
            cudnn.benchmark = not deterministic
            cudnn.deterministic = deterministic
            torch.use_deterministic_algorithms(deterministic)
            # Filling memory that is about to be written changes no bit and costs a small step much of its time.
            filling.fill_uninitialized_memory = False
        torch.set_num_threads(available_threads() if threads is None else threads)
        yield
    finally:
        backward.close()
        cudnn.benchmark, cudnn.deterministic = before
        torch.set_deterministic_debug_mode(mode)
        filling.fill_uninitialized_memory = filled
        torch.set_num_threads(threads_before)


def check_workspace_variable() -> None:
    """Refuse a CUBLAS_WORKSPACE_CONFIG with which every matrix product would raise in deterministic mode."""
    found = os.environ.get(WORKSPACE_VARIABLE, "")
    if found not in _REPRODUCIBLE_WORKSPACES:
        raise ValueError(
            f"{WORKSPACE_VARIABLE} is {found!r}, with which cuBLAS isn't deterministic: set it to "
            f"{' or '.join(_REPRODUCIBLE_WORKSPACES)}, or leave it unset"
        )


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Within, float32 products and convolutions round nothing to TF32 or bfloat16, on any device.

    Both of PyTorch's ways to ask for less are met: the older `allow_tf32` and `set_float32_matmul_precision`, and the
    newer `fp32_precision`. A program that has used both may not be able to read the older ones; they are left then.
    """
    backends: Any = torch.backends
    cuda, onednn = backends.cudnn, backends.mkldnn
    parts = (cuda.conv, cuda.rnn, backends.cuda.matmul, onednn.conv, onednn.matmul)
    before = [part.fp32_precision for part in parts]
    matmul, convolutions = _readable(torch.get_float32_matmul_precision), _readable(lambda: cuda.allow_tf32)
    try:
        if matmul is not None:
            torch.set_float32_matmul_precision("highest")
        if convolutions is not None:
            cuda.allow_tf32 = False
        for part in parts:
            part.fp32_precision = "ieee"
        yield
    finally:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if convolutions is not None:
            cuda.allow_tf32 = convolutions
        for part, value in zip(parts, before, strict=True):
            by_the_older_way = convolutions is not None and part in (cuda.conv, cuda.rnn)
            if not (by_the_older_way and part.fp32_precision == value):
                part.fp32_precision = "none"  # it may have gone along with a setting for all
                if part.fp32_precision != value:
                    part.fp32_precision = value


def _readable(setting: Callable[[], Any]) -> Any:
    try:
        return setting()
    except RuntimeError:
        return None
