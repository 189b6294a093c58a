"""Packs: the documents' fixed transforms done once, all pixels in one file that is mapped, or read in blocks.

A pack is a safetensors file: `pixels` (n, 3, S, S) uint8 in the order of the source, `checksums` (blocks,) uint32, the
CRC-32 of each block of 256 samples; in its metadata what it was made of and how, and a SHA-256 of header and checksums.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import weakref
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.dataset import BufferPool, Uint8Dataset
from harness.data.order import BLOCK, blocks_of
from harness.data.storage import Disk, OwnDisk
from reference import Batch

PACK_VERSION = "2"  # 1 knew its source by names, sizes and times
KIND = "gan-harness pack"
NO_DIGEST = "0" * 64
Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]
_PAGE = 4096
_A_LOOK = 16  # blocks that are held where the whole can't be mapped and nobody says how many
_LONGEST_HEADER = 16 * 2**20


class DamagedPackError(ValueError):
    """The file isn't what was written."""


class NoRoomError(ValueError):
    """The file is too large to be mapped as a whole."""


class _OtherPackError(ValueError):
    """A file of another kind or version."""


@dataclass(frozen=True)
class Pack:
    """What a pack says of itself, its header checked.

    Attributes:
        transform: what decided the pixels: resizing, cropping, who decoded.
        source: what it was made of.
        stand_in: what that stands in for the real data, as its folder's mark says; "" for data that aren't drawn.
        fingerprint: that of the data set.
        skipped: pictures that couldn't be read and were left out, by name.
        offset: of the pixels, bytes.
    """

    path: Path
    shape: tuple[int, ...]
    samples: int
    transform: Mapping[str, str]
    source: str
    stand_in: str
    fingerprint: str
    skipped: tuple[str, ...]
    offset: int
    checksums: NDArray[np.uint32]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return prod(self.shape)

    def block(self, number: int) -> range:
        """The samples of a block."""
        return range(number * BLOCK, min((number + 1) * BLOCK, self.samples))

    def check(self, number: int, content: Pixels) -> None:
        """Hold a block's pixels against its checksum.

        Raises:
            DamagedPackError: they aren't those that were written.
        """
        if zlib.crc32(content.data) != int(self.checksums[number]):
            rows = self.block(number)
            raise DamagedPackError(
                f"{self.path} is damaged: the pixels of samples {rows.start} to {rows.stop - 1} aren't those that were "
                "written; delete it and pack again"
            )


def header_bytes(pack: Pack, digest: str, length: int = 0) -> bytes:
    """The header of a pack's file, up to the pixels: 8 bytes of length, then JSON padded to a page, or to `length`."""
    size, blocks = pack.samples * pack.sample_bytes, len(pack.checksums)
    described = {
        "__metadata__": {
            "kind": KIND,
            "version": PACK_VERSION,
            "transform": json.dumps(dict(pack.transform)),
            "source": pack.source,
            "stand_in": pack.stand_in,
            "fingerprint": pack.fingerprint,
            "skipped": json.dumps(pack.skipped),
            "digest": digest,
        },
        "pixels": {"dtype": "U8", "shape": [pack.samples, *pack.shape], "data_offsets": [0, size]},
        "checksums": {"dtype": "U32", "shape": [blocks], "data_offsets": [size, size + 4 * blocks]},
    }
    text = json.dumps(described, ensure_ascii=True).encode()
    padded = (length or -(-(8 + len(text)) // _PAGE) * _PAGE) - 8
    if len(text) > padded:
        raise ValueError(
            f"{pack.path} can't list {len(pack.skipped):,} pictures that can't be read: that is no data set"
        )
    return padded.to_bytes(8, "little") + text.ljust(padded)


def digest_of(header: bytes, checksums: NDArray[np.uint32]) -> str:
    """SHA-256 of the header, in which the digest itself is zeros, and of the checksums."""
    return hashlib.sha256(header + checksums.astype("<u4").tobytes()).hexdigest()


def read_pack(path: Path) -> Pack:
    """The pack in `path`, its header checked; pixels are checked block by block, when they are first read.

    Raises:
        DamagedPackError: it isn't whole.
        ValueError: no such file, or it is something else, or of another version.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
                raise ValueError(f"{path} isn't a pack")
            header = length.to_bytes(8, "little") + stream.read(length)
            try:
                described = json.loads(header[8:])
                facts = described["__metadata__"]
                if facts["kind"] != KIND:
                    raise _OtherPackError(f"{path} isn't a pack: it says it is {facts['kind']!r}")
                if facts["version"] != PACK_VERSION:
                    raise _OtherPackError(
                        f"{path} is a pack of version {facts['version']}, this reads {PACK_VERSION}: pack again"
                    )
                pixels, sums = described["pixels"], described["checksums"]
                samples, *shape = (int(one) for one in pixels["shape"])
                blocks, digest = int(sums["shape"][0]), facts["digest"]
                pack = Pack(
                    path,
                    tuple(shape),
                    samples,
                    json.loads(facts["transform"]),
                    facts["source"],
                    facts["stand_in"],
                    facts["fingerprint"],
                    tuple(json.loads(facts["skipped"])),
                    8 + length,
                    np.zeros(0, np.uint32),
                )
            except _OtherPackError:
                raise
            except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
                raise DamagedPackError(f"{path} isn't a pack, or its header is damaged") from error
            content = samples * pack.sample_bytes
            needed = 8 + length + content + 4 * blocks
            if size != needed:
                raise DamagedPackError(f"{path} is damaged: it has {size:,} bytes instead of {needed:,}")
            stream.seek(8 + length + content)
            checksums = np.frombuffer(stream.read(4 * blocks), "<u4").astype(np.uint32)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    blank = header.replace(str(digest).encode(), NO_DIGEST.encode(), 1)
    if blocks != -(-samples // BLOCK) or digest_of(blank, checksums) != digest:
        raise DamagedPackError(
            f"{path} is damaged: its header isn't the one that was written; delete it and pack again"
        )
    return Pack(**{**vars(pack), "checksums": checksums})


class PackedImages(Uint8Dataset):
    """The images of a pack, with the bits of the data set that it was made of.

    The file is mapped as a whole, or after `hold` only as many blocks are in memory as two windows have. Each block is
    read at once, in one piece, and checked, when one of its samples is first asked for. Several threads may read.

    Raises:
        DamagedPackError: when a batch is read, a block whose pixels aren't those that were written.
    """

    in_memory = False
    threads = True  # reading and copying let other threads run: no worker needs a process of its own

    def __init__(
        self,
        pack: Pack,
        value_range: tuple[float, float],
        title: str,
        real: bool,
        disk: Disk | None = None,
        complete: bool = True,
    ) -> None:
        self.pack = pack
        self.value_range = value_range
        self.title = title
        self.real, self.complete = real, complete
        self.fingerprint = pack.fingerprint
        self._disk = disk or OwnDisk()
        self._source: _Mapped | _Held | None = None
        self._opening = threading.Lock()
        self._memory = BufferPool()

    def __len__(self) -> int:
        return self.pack.samples

    def pixels(self, indices: Tensor) -> Batch:
        """The images at `indices`, (B, 3, S, S) uint8."""
        with self._opening:
            if self._source is None:
                try:
                    self.map()
                except NoRoomError:  # for a look here and there a few blocks will do
                    self.hold(_A_LOOK * BLOCK)
        assert self._source is not None
        return Batch(torch.from_numpy(self._source.rows(indices.numpy(), self._memory)))

    def map(self) -> None:
        """Map the whole file.

        Raises:
            NoRoomError: this process has too few addresses for it.
        ValueError: it isn't what it was.
        """
        self._source = _Mapped(self.pack, self._disk)

    def hold(self, window: int) -> None:
        """Keep no more in memory than two windows of so many samples: the one that is read from, and the next.

        Raises:
            ValueError: they don't fit.
        """
        self._source = _Held(self.pack, self._disk, blocks_of(window))

    def expect(self, order: Tensor) -> None:
        """Hear which samples will be asked for, in order, to read on before they are."""
        if isinstance(self._source, _Held):
            self._source.expect(order.numpy())


class _Mapped:
    """The whole file, mapped."""

    def __init__(self, pack: Pack, disk: Disk) -> None:
        self.pack, self.disk = pack, disk
        try:
            self.pixels = np.memmap(pack.path, np.uint8, "r", pack.offset, (pack.samples, *pack.shape))
        except OSError as error:
            said = f"{pack.path} can't be mapped: {error.strerror}"
            if error.errno == errno.ENOMEM:
                raise NoRoomError(f"{said}; --shuffle-window N reads it in blocks") from error
            raise ValueError(said) from error
        except ValueError as error:
            raise DamagedPackError(f"{pack.path} was cut off since its header was read") from error
        self.unread = np.ones(len(pack.checksums), np.bool_)
        self.reading = threading.Lock()

    def rows(self, indices: Indices, memory: BufferPool) -> Pixels:
        blocks = indices // BLOCK
        if self.unread[blocks].any():
            with self.reading:
                for number in np.unique(blocks[self.unread[blocks]]).tolist():
                    self._read(number)
        return _taken(self.pixels, indices, memory)

    def _read(self, number: int) -> None:
        rows = self.pack.block(number)
        size = self.pack.sample_bytes
        self.disk.wait(self.pack.path, self.pack.offset + rows.start * size, len(rows) * size)
        self.pack.check(number, self.pixels[rows.start : rows.stop])
        self.unread[number] = False


class _Held:
    """A few blocks in memory: those of the window that is read from, and more and more of the next."""

    def __init__(self, pack: Pack, disk: Disk, window: int) -> None:
        self.pack, self.disk, self.window = pack, disk, window
        slots = min(2 * window + 1, len(pack.checksums))
        try:
            self.memory = np.empty((slots * BLOCK, *pack.shape), np.uint8)
        except MemoryError as error:
            size = slots * BLOCK * pack.sample_bytes / 2**20
            raise ValueError(
                f"a window of {window * BLOCK} samples takes {size:,.0f} MiB, which aren't to be had; "
                "--shuffle-window N with a smaller N takes less"
            ) from error
        self.free = list(range(slots))
        self.slots: dict[int, int] = {}  # by block
        self.coming: list[int] = []  # blocks in the order in which an epoch needs them
        self.turn: dict[int, int] = {}  # when each of them comes
        self.served = self.ahead = 0
        try:
            self.file = os.open(pack.path, os.O_RDONLY)
        except OSError as error:
            raise ValueError(f"{pack.path} can't be read: {error.strerror}") from error
        weakref.finalize(self, os.close, self.file)
        self.reading = threading.Lock()

    def expect(self, order: Indices) -> None:
        blocks = order // BLOCK
        _, first = np.unique(blocks, return_index=True)
        with self.reading:
            self.coming = blocks[np.sort(first)].tolist()
            self.turn = {number: turn for turn, number in enumerate(self.coming)}
            self.served = self.ahead = 0

    def rows(self, indices: Indices, memory: BufferPool) -> Pixels:
        with self.reading:
            taken = self._rows(indices, memory)
            # A block more for each that is used up: the disk works all the time, not at a window's end alone.
            self.served += len(indices)
            until = min(self.served // BLOCK + self.window + 1, len(self.coming))
            while self.ahead < until:
                if self.coming[self.ahead] not in self.slots:
                    self._read(self.coming[self.ahead])
                self.ahead += 1
            return taken

    def _rows(self, indices: Indices, memory: BufferPool) -> Pixels:
        needed, places = np.unique(indices // BLOCK, return_inverse=True)
        if len(needed) > len(self.free) + len(self.slots):
            half = len(indices) // 2
            return np.concatenate([self._rows(part, memory) for part in (indices[:half], indices[half:])])
        numbers = needed.tolist()
        for number in numbers:
            if number not in self.slots:
                self._read(number, keep=numbers)
        slots = np.array([self.slots[number] for number in numbers], np.int64)
        return _taken(self.memory, slots[places] * BLOCK + indices % BLOCK, memory)

    def _slot(self, keep: Sequence[int]) -> int:
        """A free one, or that of a block whose turn is over, or else comes last."""
        if self.free:
            return self.free.pop()
        begun = self.served // (self.window * BLOCK) * self.window  # the turn with which this window began

        def dispensable(number: int) -> tuple[bool, int]:
            turn = self.turn.get(number, -1)
            return (True, -turn) if turn < begun else (False, turn)

        kept = set(keep)
        return self.slots.pop(max((number for number in self.slots if number not in kept), key=dispensable))

    def _read(self, number: int, keep: Sequence[int] = ()) -> None:
        slot = self._slot(keep)
        rows = self.pack.block(number)
        offset, size = self.pack.offset + rows.start * self.pack.sample_bytes, len(rows) * self.pack.sample_bytes
        into = self.memory[slot * BLOCK : slot * BLOCK + len(rows)]
        view, done = into.data.cast("B"), 0
        self.disk.wait(self.pack.path, offset, size)
        try:
            while done < size and (got := os.preadv(self.file, [view[done:]], offset + done)):
                done += got
            if done < size:
                raise DamagedPackError(f"{self.pack.path} was cut off while it was read")
            self.pack.check(number, into)
        except BaseException:
            self.free.append(slot)
            raise
        self.slots[number] = slot


def _taken(rows: Pixels, indices: Indices, memory: BufferPool) -> Pixels:
    if len(indices) and not 0 <= indices.min() <= indices.max() < len(rows):
        raise IndexError(f"samples {indices.min()} to {indices.max()} of {len(rows)}")
    taken: Pixels = memory.empty((len(indices), *rows.shape[1:]), np.uint8)
    return rows.take(indices, axis=0, out=taken, mode="clip")  # in any other mode NumPy copies twice
