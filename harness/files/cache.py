"""Where what can be made again is kept between runs: stand-ins, features, weights, digests of large data."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs

from harness.files.writing import write_folder

CACHE_VARIABLE = "GAN_HARNESS_CACHE"


def cache_folder() -> Path:
    """GAN_HARNESS_CACHE, else the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("gan-harness"))


class CacheError(OSError):
    """The cache can't be written, with what would help: nothing that needs it can go on."""


def check_cache() -> None:
    """Before what takes long and is kept: write something into the cache that goes again.

    Raises:
        CacheError: it can't be written.
    """
    with writing_to_cache():
        cache_folder().mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache_folder()).close()


@contextlib.contextmanager
def writing_to_cache() -> Iterator[None]:
    """Say what would help where the cache can't be written: a machine may have no home that is writable.

    Raises:
        CacheError: instead of the OSError within.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise CacheError(
            f"the cache {cache_folder()} can't be written: {why}; set {CACHE_VARIABLE} to a folder that can"
        ) from error


def made_once(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder of this name in the cache, filled when it isn't there yet.

    Raises:
        CacheError: it can't be written.
    """
    folder = cache_folder() / name
    if not folder.is_dir():
        with writing_to_cache():
            write_folder(folder, fill)
    return folder
