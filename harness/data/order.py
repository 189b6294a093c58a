"""In which order the samples of an epoch come: the same for a seed, whatever they are stored in and who reads them."""

from __future__ import annotations

from math import prod
from pathlib import Path

import psutil
import torch
from torch import Generator, Tensor

BLOCK = 256  # samples that lie together and are read together
_WINDOW_BYTES = 256 * 2**20
_ALL_AT_ONCE = 0.5  # of this machine's memory: what fits into it is shuffled as a whole


def epoch_order(samples: int, window: int, generator: Generator) -> Tensor:
    """A permutation of `samples` indices: any one, or with a window one that a disk likes.

    Args:
        window: 0, or how many samples are mixed with each other at a time: the order of all blocks is drawn, as many as
            make up a window are taken in turn, and their samples are shuffled.
    """
    if not window or window >= samples:
        return torch.randperm(samples, generator=generator)
    blocks = torch.randperm(-(-samples // BLOCK), generator=generator)
    parts = []
    for taken in torch.split(blocks, blocks_of(window)):
        rows = (taken[:, None] * BLOCK + torch.arange(BLOCK)).flatten()
        rows = rows[rows < samples]
        parts.append(rows[torch.randperm(len(rows), generator=generator)])
    return torch.cat(parts)


def blocks_of(window: int) -> int:
    """How many blocks make up a window, at least one."""
    return -(-window // BLOCK)


def decided_window(samples: int, shape: tuple[int, ...], memory: int | None = None) -> int:
    """The window for so many samples of this shape: 0 where their pixels fit into half of the memory.

    It follows from the sizes alone, not from how they are stored, so that a packed copy gives the same order. Else it
    is as many whole blocks as 256 MiB hold, or a sixteenth of the memory if that is less.
    """
    size, memory = prod(shape), memory_limit() if memory is None else memory
    if samples * size <= _ALL_AT_ONCE * memory:
        return 0
    return max(1, min(_WINDOW_BYTES, memory // 16) // (BLOCK * size)) * BLOCK


def memory_limit() -> int:
    """Bytes of memory that this process may fill: the machine's, or less where a control group or a limit says so."""
    limits = [psutil.virtual_memory().total]
    for file in _group_limits():
        text = file.read_text().strip() if file.is_file() else ""
        if text.isdigit():
            limits.append(int(text))
    if hasattr(psutil, "RLIMIT_AS"):
        limits += [limit for limit in psutil.Process().rlimit(psutil.RLIMIT_AS) if limit > 0]
    return min(limits)


def _group_limits() -> list[Path]:
    """Where the limits of this process' control groups stand, in either version, those of the groups above too."""
    listed = Path("/proc/self/cgroup")
    files = []
    for line in listed.read_text().splitlines() if listed.is_file() else []:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, name = ("", "memory.max") if not controllers else ("memory", "memory.limit_in_bytes")
        group = Path("/sys/fs/cgroup") / root / place.lstrip("/")
        files += [folder / name for folder in (group, *group.parents) if folder.is_relative_to("/sys/fs/cgroup")]
    return files
