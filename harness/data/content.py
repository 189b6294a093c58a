"""Data known by their content: names, sizes and times stay when pictures are exchanged for others.

Up to 64 MiB all bytes are read each time. Larger data are read once; the digest is kept in the cache, and holds as long
as each file's name, size, times and place on the disk are those of then, and 64 blocks of 4 KiB, spread over everything
by chance, have the bytes of then.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from harness.files.cache import cache_folder, check_cache, writing_to_cache
from harness.files.writing import write_text
from harness.records.processors import usable_processors
from harness.records.progress import report_progress

ALWAYS = 64 * 2**20  # bytes that are read whenever somebody asks: a tenth of a second
_BLOCKS, _BLOCK = 64, 4096
_AT_ONCE = 256  # files
_MB = 10**6
_UNREADABLE = b"unreadable"

Counted = Callable[[int], None]  # hears bytes as they are read

_log = logging.getLogger(__name__)


def digest_of_files(place: Path, files: Sequence[Path]) -> str:
    """16 hexadecimal digits that change with the names or the bytes of files below `place`.

    Raises:
        ValueError: they change while they are read.
        CacheError: the cache can't be written.
    """
    return digest_of(place, files, lambda counted: _all_of(files, counted))


def digest_of(place: Path, files: Sequence[Path], read: Callable[[Counted], str]) -> str:
    """What `read` says of the content of `files`, which lie at `place`: looked up, where they are large and unchanged.

    Raises:
        ValueError: they change while they are read.
        CacheError: the cache can't be written.
    """
    sizes = [size_of(file) for file in files]
    total = sum(sizes)
    if total <= ALWAYS:
        return read(lambda _: None)
    stamp = stamp_of(files)
    kept = cache_folder() / "contents" / f"{_hashed(str(place.resolve()))[:32]}.json"
    sample = _sample(files, sizes, stamp)
    known = _known(kept)
    if known.get("stamp") == stamp and known.get("sample") == sample:
        _log.info(
            f"{place}: known since {known['read']}, when all of it was read; names, sizes, times and {_BLOCKS} blocks "
            "are those of then"
        )
        return str(known["digest"])
    done = 0

    def counted(count: int) -> None:
        nonlocal done
        done += count
        report_progress(_log, f"reading {place} once to know it (MB)", done // _MB, total // _MB)

    check_cache()
    digest = read(counted)
    if stamp_of(files) != stamp:
        raise ValueError(f"{place} changed while it was read: wait until nobody writes there")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with writing_to_cache():
        write_text(kept, json.dumps({"stamp": stamp, "sample": sample, "digest": digest, "read": now}) + "\n")
    _log.info(f"{place}: all of it was read, {total / 1e9:.1f} GB; later a look at {_BLOCKS} blocks will do")
    return digest


def stamp_of(files: Sequence[Path]) -> str:
    """What changes when somebody writes to a file or puts another in its place, as far as the file system knows.

    The time of the last change of the file's entry, `st_ctime_ns`, can't be set back as that of its content can.
    """
    hashed = hashlib.sha256()
    for file in files:
        try:
            found = file.stat()
            facts = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        except OSError:
            facts = (-1, 0, 0, 0)
        hashed.update(_named(file) + b" %d %d %d %d\n" % facts)
    return hashed.hexdigest()


def size_of(file: Path) -> int:
    """Bytes; 0 for a file that can't be looked at: reading it says why."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _all_of(files: Sequence[Path], counted: Counted) -> str:
    whole = hashlib.sha256()
    parts = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
    with ThreadPoolExecutor(usable_processors()) as pool:
        for part, found in zip(parts, pool.map(_each, parts), strict=True):
            for file, (digest, size) in zip(part, found, strict=True):
                whole.update(_named(file) + b"\0" + digest + b"\n")
                counted(size)
    return whole.hexdigest()[:16]


def _each(files: Sequence[Path]) -> list[tuple[bytes, int]]:
    """The digest and the size of each file; who needs the picture of one that can't be read refuses it."""
    found = []
    for file in files:
        try:
            with file.open("rb") as stream:
                found.append((hashlib.file_digest(stream, "sha256").digest(), stream.tell()))
        except OSError:
            found.append((_UNREADABLE, 0))
    return found


def _sample(files: Sequence[Path], sizes: Sequence[int], stamp: str) -> str:
    """A digest of blocks at places that chance picks among all bytes, the same for the same stamp."""
    ends = list(accumulate(sizes))
    draw = random.Random(stamp)
    hashed = hashlib.sha256()
    for place in sorted(draw.randrange(ends[-1]) for _ in range(_BLOCKS)):
        number = bisect_right(ends, place)
        offset = place - (ends[number] - sizes[number])
        try:
            with files[number].open("rb") as stream:
                stream.seek(offset // _BLOCK * _BLOCK)
                hashed.update(stream.read(_BLOCK))
        except OSError:
            hashed.update(_UNREADABLE)
    return hashed.hexdigest()


def _known(kept: Path) -> dict[str, str]:
    """What the cache knows; nothing where it holds anything else."""
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = isinstance(found, dict) and {"stamp", "sample", "digest", "read"} <= found.keys()
    return {key: str(value) for key, value in found.items()} if texts else {}


def _named(file: Path) -> bytes:
    return file.name.encode(errors="surrogateescape")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
