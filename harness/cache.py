"""Where what can be made again is kept between runs: stand-ins, features, weights, digests of large data."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "GAN_HARNESS_CACHE"


def cache_folder() -> Path:
    """GAN_HARNESS_CACHE, else the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("gan-harness"))


@contextlib.contextmanager
def writing_to_cache() -> Iterator[None]:
    """Say what would help where the cache can't be written: a machine may have no home that is writable.

    Raises:
        ValueError: instead of the OSError within.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise ValueError(
            f"the cache {cache_folder()} can't be written: {why}; set {CACHE_VARIABLE} to a folder that can"
        ) from error
