"""LSUN's bedrooms from their LMDB, `lsun/bedroom_train_lmdb/`: any keys, each value one encoded picture."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb
import torch
from torch import Tensor

from harness.data.dataset import scale_pixels
from harness.data.pictures import Framing, read_rgb
from reference import Batch

FOLDER = Path("lsun/bedroom_train_lmdb")
_MAP_SIZE = 1 << 40  # the most that a file may grow to while it is written; it takes only what it holds


class Lsun:
    """The pictures of one LMDB in the order of their keys: shorter side resized, centre cropped, scaled.

    Raises:
        ValueError: it can't be opened or is empty; or, when a batch is read, a value that is no picture, named.
    """

    in_memory = False

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        title: str = "LSUN bedrooms",
        real: bool = True,
    ) -> None:
        self.folder = folder
        self.title = title
        self.real = real
        self.value_range = value_range
        self._framing = Framing(shape)
        with _reading(folder) as transaction:
            self.keys = [bytes(key) for key in transaction.cursor().iternext(keys=True, values=False)]
        if not self.keys:
            raise ValueError(f"{folder} is empty")
        self.fingerprint = f"lmdb-{len(self.keys)}-" + hashlib.sha256(b"\n".join(self.keys)).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, indices: Tensor) -> Batch:
        with _reading(self.folder) as transaction:
            framed = [self._read(transaction, self.keys[index]) for index in indices.tolist()]
        return Batch(scale_pixels(torch.stack(framed), self.value_range))

    def _read(self, transaction: lmdb.Transaction, key: bytes) -> Tensor:
        name = f"{self.folder}, key {key.decode(errors='replace')}"
        value = transaction.get(key)
        if value is None:
            raise ValueError(f"{name} has gone since the database was opened")
        return self._framing(read_rgb(io.BytesIO(bytes(value)), name))


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[lmdb.Transaction]:
    """A read transaction. The database is opened for each batch: an open one mustn't be taken into a forked worker."""
    try:
        with (
            lmdb.open(
                str(folder), readonly=True, lock=False, readahead=False, meminit=False, create=False
            ) as environment,
            environment.begin(buffers=True) as transaction,
        ):
            yield transaction
    except lmdb.Error as error:
        raise ValueError(f"{folder} can't be read as an LMDB: {error}") from error


def write_lmdb(folder: Path, pictures: Iterable[tuple[bytes, bytes]]) -> None:
    """Write (key, encoded picture) pairs as LSUN's databases hold them."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=_MAP_SIZE) as environment, environment.begin(write=True) as transaction:
        for key, value in pictures:
            transaction.put(key, value)
