"""Writing that survives a crash: under a temporary name beside the target, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

PARTIAL = ".part"
# What a user's files may not be to others. It can only be read by setting it, which threads would notice: once.
_UMASK = os.umask(0o022)
os.umask(_UMASK)


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which replaces `path` once all of it is on disk: a crash leaves the old file or the new one.

    Until then it is called `.NAME.….part`, and if anything fails it goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(PARTIAL, part_prefix(path), path.parent)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
            os.chmod(temporary, 0o666 & ~_UMASK)
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder to this process: no other writes into it meanwhile.

    The lock ends with the process, however that ends.

    Raises:
        ValueError: another process holds the folder; the line says which.
    """
    try:
        lock = _locked(folder.resolve())
    except Timeout as busy:
        note = Path(busy.lock_file).with_suffix(".writer")
        with contextlib.suppress(OSError):
            raise ValueError(f"{folder} is being written by {note.read_text(encoding='utf-8').strip()}") from None
        raise ValueError(f"{folder} is being written by another process, or can't be locked") from None
    note = Path(lock.lock_file).with_suffix(".writer")
    try:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        mine = f"process {os.getpid()} on {platform.node()} since {now}: {' '.join(map(os.path.basename, sys.argv))}"
        note.write_text(mine[:300] + "\n", encoding="utf-8", errors="backslashreplace")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _locked(folder: Path) -> BaseFileLock:
    """The lock of a folder, taken: it lies beside it, or where that can't be written, as in a container, among this
    machine's temporary files.

    Raises:
        Timeout: somebody else has it.
    """
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    elsewhere = Path(tempfile.gettempdir()) / f"gan-harness-{os.getuid()}-{name}.lock"
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
    for place in (folder.parent / f".{folder.name}.lock", elsewhere):
        lock = FileLock(place, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise
        except OSError:
            if place == elsewhere:
                raise
        else:
            return lock
    raise AssertionError("one of them was taken, or said why not")


def moved_aside(path: Path) -> Path | None:
    """Give what lies there another name, which is returned; None where nothing lies: no result replaces another."""
    return path.rename(free_name(path)) if path.exists() else None


def free_name(path: Path) -> Path:
    """`path` with the first number before its suffix under which nothing lies: for what must not be replaced."""
    suffix = path.suffix if path.is_file() else ""
    stem = path.name.removesuffix(suffix)
    numbered = (path.with_name(f"{stem}.{number}{suffix}") for number in itertools.count(1))
    return next(candidate for candidate in numbered if not candidate.exists())


def part_prefix(path: Path) -> str:
    """How the names of files begin that are to become `path`."""
    return f".{path.name}."


def write_text(path: Path, text: str) -> None:
    """Replace `path` by a file that holds `text`, as `appearing` does."""
    with appearing(path) as stream:
        stream.write(text.encode(errors="backslashreplace"))  # a name may hold bytes that are no UTF-8


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
        temporary.chmod(0o777 & ~_UMASK)
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


def replace_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """The same; what lies at `path` goes once the new one is whole, and comes back where that fails."""
    if not path.exists():
        write_folder(path, fill)
        return
    aside = path.with_name(f".{path.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    try:
        write_folder(path, fill)
    except BaseException:
        aside.rename(path)
        raise
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
