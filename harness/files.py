"""Writing that survives a crash: under a temporary name beside the target, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

PART = ".part"


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which replaces `path` once all of it is on disk: a crash leaves the old file or the new one.

    Until then it is called `.NAME.….part`, and if anything fails it goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(PART, part_prefix(path), path.parent)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def part_prefix(path: Path) -> str:
    """How the names of files begin that are to become `path`."""
    return f".{path.name}."


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a file that holds `text`, as `appearing` does."""
    with appearing(path) as stream:
        stream.write(text.encode())


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `path` appear at once, complete, with what `fill` puts into the temporary one it is given.

    If another process makes the same folder first, theirs stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        fill(temporary)
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        _sync(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
            shutil.rmtree(temporary)
        _sync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
