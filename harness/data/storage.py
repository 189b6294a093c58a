"""Disks: the one that is there, and simulated ones with a bandwidth, a seek time and a single head."""

from __future__ import annotations

import multiprocessing
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_READ_AHEAD = 128 * 1024  # bytes: as far as Linux reads ahead, so a gap of this size costs no seek
_FREE_AT, _FILE, _END, _SEEKING, _MOVING, _SEEKS, _BYTES = range(7)


class Disk(Protocol):
    """What lies between a file and who reads it."""

    def wait(self, file: Path, offset: int, size: int) -> None:
        """Wait as long as reading `size` bytes at `offset` takes beyond what it takes in any case."""


class OwnDisk:
    """The disk that the files really lie on: reading takes what it takes."""

    def wait(self, file: Path, offset: int, size: int) -> None:
        """Nothing to add."""


@dataclass(frozen=True)
class DiskProfile:
    """A disk to be simulated.

    Attributes:
        bandwidth: bytes a second, once the head is there.
        seek: seconds for a read that doesn't follow the one before.
        source: where the two figures come from.
    """

    name: str
    bandwidth: float
    seek: float
    source: str


DISK_PROFILES: Mapping[str, DiskProfile] = {
    "hdd": DiskProfile(
        "hdd",
        5e6,
        0.013,
        "5 MB/s as document 000 states; 13 ms a seek: 9 ms for the arm and half a turn at 7,200 a minute",
    ),
    "ssd": DiskProfile("ssd", 50e6, 0.0001, "50 MB/s as document 000 states; 0.1 ms to find a page"),
}


@dataclass(frozen=True)
class Work:
    """What a simulated disk did: seconds of seeking and of moving bytes, how many seeks, how many bytes."""

    seeking: float
    moving: float
    seeks: int
    bytes: int


class SimulatedDisk:
    """A disk that takes its time: every process that inherits it shares its one head.

    Each read reserves the head for its seek and its transfer, one after the other, and waits for the end of its own.
    Nothing is cached: what is read twice is paid twice, so a warm cache is simulated by no disk at all.
    """

    def __init__(self, profile: DiskProfile) -> None:
        self.profile = profile
        self._lock = multiprocessing.Lock()
        self._state = multiprocessing.RawArray("d", 7)
        self._state[_FILE] = -1

    def wait(self, file: Path, offset: int, size: int) -> None:
        """Wait until the head has read these bytes."""
        key = zlib.crc32(str(file).encode())
        state = self._state
        with self._lock:
            gap = offset - state[_END]
            follows = state[_FILE] == key and 0 <= gap <= _READ_AHEAD
            seeking = 0.0 if follows else self.profile.seek
            moved = size + (gap if follows else 0)
            moving = moved / self.profile.bandwidth
            done = max(time.monotonic(), state[_FREE_AT]) + seeking + moving
            state[_FREE_AT], state[_FILE], state[_END] = done, key, offset + size
            state[_SEEKING] += seeking
            state[_MOVING] += moving
            state[_SEEKS] += not follows
            state[_BYTES] += moved
        time.sleep(max(0.0, done - time.monotonic()))

    @property
    def work(self) -> Work:
        """What it did so far."""
        state = self._state
        return Work(state[_SEEKING], state[_MOVING], int(state[_SEEKS]), int(state[_BYTES]))
