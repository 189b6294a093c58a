"""LSUN's bedrooms from their LMDB, `lsun/bedroom_train_lmdb/`: any keys, each value one encoded picture."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import lmdb
import numpy as np
from torch import Tensor
from torch.utils.data import get_worker_info

from harness.data.content import Counted, digest_of
from harness.data.dataset import Uint8Dataset
from harness.data.images import Framing, read_rgb, stacked
from harness.data.storage import Disk, OwnDisk
from reference import Batch

if sys.platform != "win32":
    import fcntl

FOLDER = Path("lsun/bedroom_train_lmdb")
DATA, LOCK = "data.mdb", "lock.mdb"
_A_WHILE = 16 * 2**20  # bytes
_MAP_SIZE = 1 << 40  # the most that a file may grow to while it is written; it takes only what it holds


class Lsun(Uint8Dataset):
    """The pictures of one LMDB in the order of their keys: shorter side resized, centre cropped, scaled.

    Each worker of a loader has the database open once, with one read transaction of its own.

    Args:
        complete: these are all there are, and not some of them.
        disk: what the database is read from.

    Raises:
        ValueError: it can't be opened, is empty, cut off, or open in a process that may write to it; or, when a batch
            is read, a value that isn't a coloured picture of 8 bits a channel, named.
    """

    in_memory = False

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        title: str = "LSUN bedrooms",
        real: bool = True,
        complete: bool = True,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self.title = title
        self.real, self.complete = real, complete
        self.value_range = value_range
        self.framing = Framing(shape)
        self._disk = disk or OwnDisk()
        with _reading(folder) as transaction:
            keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
        if not keys:
            raise ValueError(f"{folder} is empty")
        # Three million small objects would cost every worker a copy of them: Python counts references in place.
        self._keys = b"".join(keys)
        self._ends = np.cumsum([0, *(len(key) for key in keys)])

    @cached_property
    def fingerprint(self) -> str:
        """Changes with a key or a picture, not with where in the file they lie."""
        return database_fingerprint(self.folder)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def pixels(self, indices: Tensor) -> Batch:
        """The pictures at `indices`, (B, 3, S, S) uint8."""
        with _reading(self.folder) as transaction:
            return Batch(stacked([self._read(transaction, index) for index in indices.tolist()]))

    def name(self, index: int) -> str:
        """What picture `index` is called where it is stored."""
        return f"key {self._key(index).decode(errors='replace')}"

    def _key(self, index: int) -> bytes:
        return self._keys[self._ends[index] : self._ends[index + 1]]

    def _read(self, transaction: lmdb.Transaction, index: int) -> Tensor:
        name = f"{self.folder}, {self.name(index)}"
        value = transaction.get(self._key(index))
        if value is None:
            raise ValueError(f"{name} has gone since the database was opened")
        # Where a value lies in the mapped file, up to a constant: enough to tell what follows what.
        self._disk.wait(self.folder / DATA, np.frombuffer(value, np.uint8).ctypes.data, len(value))
        return self.framing(read_rgb(io.BytesIO(value), name))


def database_fingerprint(folder: Path) -> str:
    """What the fingerprint of the pictures in a database is."""

    def content(counted: Counted) -> str:
        hashed, unsaid = hashlib.sha256(), 0
        with _reading(folder) as transaction:
            for key, value in transaction.cursor():
                hashed.update(b"%d %d " % (len(key), len(value)))
                hashed.update(key)
                hashed.update(value)
                unsaid += len(value)
                if unsaid > _A_WHILE:
                    counted(unsaid)
                    unsaid = 0
        return hashed.hexdigest()[:16]

    return f"database-{digest_of(folder, [folder / DATA], content)}"


@dataclass(frozen=True)
class _Open:
    """A database that is open, as its file was when it was opened."""

    stamp: tuple[int, int, int]
    environment: lmdb.Environment
    transaction: lmdb.Transaction

    def close(self) -> None:
        self.transaction.abort()
        self.environment.close()


# Of a loader's worker, by place: it alone keeps databases open. LMDB lets a process, and what is forked from it, open
# each only once, so that here nobody else could.
_KEPT: dict[Path, _Open] = {}


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[lmdb.Transaction]:
    """A read transaction of this process on the database as it is now."""
    try:
        place = folder.resolve()
        found = (folder / DATA).stat()
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        held = _KEPT.get(place)
        if held is not None and held.stamp != stamp:
            _KEPT.pop(place).close()
            held = None
        used = held or _open(folder, stamp)
        if get_worker_info() is not None:
            _KEPT[place] = used
        try:
            yield used.transaction
        finally:
            if place not in _KEPT:
                used.close()
    except OSError as error:
        raise ValueError(f"{folder} can't be read as an LMDB: {error.strerror or error}") from error
    except lmdb.Error as error:
        raise ValueError(f"{folder} can't be read as an LMDB: {error}") from error


def _open(folder: Path, stamp: tuple[int, int, int]) -> _Open:
    _refuse_open_elsewhere(folder)
    environment = lmdb.open(str(folder), readonly=True, lock=False, readahead=False, meminit=False, create=False)
    needed, size = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"], stamp[1]
    if size < needed:  # reading on would end the process
        environment.close()
        raise ValueError(f"{folder / DATA} is cut off: it has {size:,} bytes and speaks of {needed:,}")
    return _Open(stamp, environment, environment.begin(buffers=True))


def _refuse_open_elsewhere(folder: Path) -> None:
    """Refuse a database that a process holds locked, as who writes does: reading without locks would give nonsense."""
    if not sys.platform.startswith("linux") or not (folder / LOCK).is_file():
        return
    form = "hhqqi4x"  # struct flock: type, whence, start, length, process
    with (folder / LOCK).open("rb") as stream:
        asked = struct.pack(form, fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)
        kind, _, _, _, process = struct.unpack(form, fcntl.fcntl(stream, fcntl.F_GETLK, asked))
    if kind != fcntl.F_UNLCK:
        raise ValueError(f"{folder} is locked: process {process} has it open and may be writing; wait for it to end")


def write_lmdb(folder: Path, pictures: Iterable[tuple[bytes, bytes]]) -> None:
    """Write (key, encoded picture) pairs as LSUN's databases hold them."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=_MAP_SIZE) as environment, environment.begin(write=True) as transaction:
        for key, value in pictures:
            transaction.put(key, value)
