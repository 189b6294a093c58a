"""The kernel's page cache: which part of a file it holds, and how to make it forget one."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


class StillCachedError(ValueError):
    """The cache kept files that it was asked to forget, so a cold read can't be measured."""


def drop(files: Sequence[Path]) -> None:
    """Make the kernel forget the contents of `files`; names and sizes stay known to it.

    Raises:
        StillCachedError: it can't be asked here, or keeps more than a hundredth, as a file system in memory does.
    """
    if not hasattr(os, "posix_fadvise"):
        raise StillCachedError(f"{sys.platform} has no posix_fadvise: the page cache can't be emptied for single files")
    _ask(files, after=lambda _: None)
    held, total = _resident_pages(files)
    if held > total / 100:  # what isn't on the disk yet isn't dropped
        _ask(files, after=os.fsync)
        held, total = _resident_pages(files)
    if held > total / 100:
        raise StillCachedError(
            f"the page cache still holds {held} of {total} pages below {files[0].parent} after it was asked to drop "
            "them: a cold read can't be measured there"
        )


def _ask(files: Sequence[Path], after: Callable[[int], None]) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            after(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def resident_share(files: Sequence[Path]) -> float:
    """The share of the files' pages that is in memory, by mincore(2)."""
    held, total = _resident_pages(files)
    return held / max(1, total)


def _resident_pages(files: Sequence[Path]) -> tuple[int, int]:
    held = total = 0
    libc = ctypes.CDLL(None, use_errno=True)
    for file in files:
        size = file.stat().st_size
        if not size:
            continue
        pages = -(-size // mmap.PAGESIZE)
        vector = (ctypes.c_ubyte * pages)()
        # Writable but private: ctypes can take the address of such a mapping, and mapping it reads nothing.
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
            address = (ctypes.c_char * size).from_buffer(mapped)
            if libc.mincore(ctypes.byref(address), ctypes.c_size_t(size), vector):
                number = ctypes.get_errno()
                del address
                raise OSError(number, os.strerror(number), str(file))
            del address  # a mapping that is pointed at can't be closed
        held += sum(page & 1 for page in bytes(vector))
        total += pages
    return held, total
