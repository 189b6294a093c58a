"""Making packs, and finding the one that holds what a data set would give."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import shutil
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from harness.data.content import stamp_of
from harness.data.filter import Pictures, ProbeDamaged, fingerprint_without
from harness.data.image_folder import ImageFolder, pictures_fingerprint
from harness.data.images import picture_files
from harness.data.loader import Loader
from harness.data.lsun import DATA, Lsun, database_fingerprint
from harness.data.order import BLOCK
from harness.data.packed import NO_DIGEST, Pack, digest_of, header_bytes, read_pack
from harness.data.synthetic import title_of
from harness.files.writing import PARTIAL, appearing, part_prefix
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)

SUFFIX = ".safetensors"


def pack_of(source: Path, side: int) -> Path:
    """Where `--pack auto` looks for the pack of a folder or database: beside it."""
    source = source if source.name else source.resolve()
    return source.parent / f"{source.name}-{side}x{side}{SUFFIX}"


def open_source(source: Path, side: int) -> Pictures:
    """A folder of pictures, or an LMDB of them.

    Raises:
        ValueError: it is neither, or damaged.
    """
    if not source.exists():
        raise ValueError(f"{source} isn't there")
    kind = Lsun if (source / DATA).is_file() else ImageFolder
    return kind(source, (3, side, side), (-1.0, 1.0))


def fingerprint_of(source: Path) -> str:
    """The fingerprint of a folder's or a database's pictures, all of them."""
    if (source / DATA).is_file():
        return database_fingerprint(source)
    return pictures_fingerprint(source, picture_files(source))


def _stamp(source: Path) -> str:
    # Whoever opens a database touches its lock file.
    return stamp_of([source / DATA] if (source / DATA).is_file() else picture_files(source, strangers=True))


def stale_reason(
    pack: Pack, source: Path, shape: tuple[int, ...], transform: dict[str, str], *, skip_damaged: bool
) -> str:
    """Why a pack doesn't hold what reading `source` would give; "" when it does."""
    if pack.shape != shape:
        return f"its pictures are {pack.shape}, asked for are {shape}"
    if dict(pack.transform) != transform:
        names = [
            name
            for name in sorted(transform.keys() | pack.transform.keys())
            if transform.get(name) != pack.transform.get(name)
        ]
        return f"made with another {names[0]}: {pack.transform.get(names[0])}, here it is {transform.get(names[0])}"
    if pack.fingerprint != fingerprint_without(fingerprint_of(source), pack.skipped):
        here = str(source.resolve())
        return f"{source} has changed since" if pack.source == here else f"it was made of {pack.source}"
    if pack.skipped and not skip_damaged:
        return f"it leaves out {len(pack.skipped)} pictures that can't be read, which only --skip-damaged allows"
    return ""


def write_pack(source: Path, path: Path, side: int, *, workers: int, skip_damaged: bool) -> Pack:
    """Pack the pictures of `source` into `path`, which appears at once, complete.

    Raises:
        ValueError: the source is damaged or changes meanwhile; the disk is too small or can't be written.
    """
    if path.parent.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{path} would lie among the pictures that it is made of: name a place outside {source}")
    pictures = open_source(source, side)
    stamp, whole = _stamp(source), pictures.fingerprint
    shape = pictures.framing.shape
    empty = np.zeros(-(-len(pictures) // BLOCK), np.uint32)
    pack = Pack(
        path,
        shape,
        len(pictures),
        pictures.framing.described(),
        str(source.resolve()),
        title_of(source.resolve().parent) or "",
        whole,
        (),
        0,
        empty,
    )
    # Room for the names of pictures that are left out, which are known only at the end.
    length = len(header_bytes(pack, NO_DIGEST)) + (2**20 if skip_damaged else 0)
    _check_room(path, length + len(pictures) * prod(shape) + 4 * len(empty))
    with _alone(path) as stream:
        stream.write(bytes(length))
        checksums: list[int] = []
        damaged: list[int] = []
        for block, lost in _blocks(pictures, workers, skip_damaged, source):
            damaged += lost
            if block:
                checksums.append(zlib.crc32(block))
                stream.write(block)
        names = [pictures.name(index) for index in damaged]
        sums = np.array(checksums, np.uint32)
        pack = dataclasses.replace(
            pack,
            samples=len(pictures) - len(damaged),
            skipped=tuple(names),
            checksums=sums,
            offset=length,
            fingerprint=fingerprint_without(whole, names),
        )
        if not pack.samples:
            raise ValueError(f"{source}: none of its {len(pictures)} pictures can be read")
        stream.write(sums.astype("<u4").tobytes())
        digest = digest_of(header_bytes(pack, NO_DIGEST, length), sums)
        stream.seek(0)
        stream.write(header_bytes(pack, digest, length))
        if _stamp(source) != stamp:
            raise ValueError(f"{source} changed while it was packed: nothing was written")
    return read_pack(path)


def _blocks(pictures: Pictures, workers: int, skip_damaged: bool, source: Path) -> Iterator[tuple[bytes, list[int]]]:
    """The pixels of all pictures in order, cut into blocks, with the places of those lost on the way."""
    waiting = torch.empty(0, *pictures.framing.shape, dtype=torch.uint8)
    lost: list[int] = []
    done = 0
    with Loader(ProbeDamaged(pictures) if skip_damaged else pictures, workers=workers) as loader:
        for batch in loader.stored(torch.split(torch.arange(len(pictures)), BLOCK)):
            if batch.labels is None:
                done += len(batch.data)
            else:
                lost += (done + (~batch.labels).nonzero().flatten()).tolist()
                done += len(batch.labels)
            waiting = torch.cat([waiting, batch.data]) if len(waiting) else batch.data
            report_progress(_log, f"packing {source}", done, len(pictures))
            if len(waiting) >= BLOCK:
                yield waiting[:BLOCK].numpy().tobytes(), lost
                waiting, lost = waiting[BLOCK:], []
    if len(waiting) or lost:
        yield waiting.numpy().tobytes(), lost


def _check_room(path: Path, needed: int) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{folder} isn't a folder: the pack {path.name} can't be written there")
    check_room(folder, needed)


def check_room(folder: Path, needed: int) -> None:
    """Refuse a pack of `needed` bytes where the folder's disk has less left.

    Raises:
        ValueError: it has, with both.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(f"the pack takes {needed / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB left")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path`, while nobody else writes one.

    Raises:
        ValueError: it can't be written, or another process is writing it.
    """
    try:
        _clear_leftovers(path)
        with appearing(path) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # ends with this process, however it ends
            yield stream
    except OSError as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: OSError) -> ValueError:
    """What is said of a pack that couldn't be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    why = "the disk is full" if full else error.strerror
    return ValueError(f"{path} can't be written: {why}; nothing is left of it")


def _clear_leftovers(path: Path) -> None:
    """Delete what writers that were killed have left; whoever still writes holds a lock on its file."""
    for name in os.listdir(path.parent):
        if not (name.startswith(part_prefix(path)) and name.endswith(PARTIAL)):
            continue
        part = path.parent / name
        with part.open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"another process is writing this pack: {part}") from None
            part.unlink()
