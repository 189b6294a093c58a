from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from harness.data.storage import DISK_PROFILES, DiskProfile, OwnDisk, SimulatedDisk, Work

ONE, OTHER = Path("one"), Path("other")
AHEAD = 128 * 1024
QUICK = DiskProfile("quick", 1e12, 1e-6, "made up")


@pytest.mark.parametrize(
    ("reads", "seeks", "moved"),
    [
        ([(ONE, 0, 100)], 1, 100),
        ([(ONE, 0, 100), (ONE, 100, 50)], 1, 150),
        ([(ONE, 0, 100), (ONE, 100 + AHEAD, 50)], 1, 150 + AHEAD),  # read ahead, so the gap is moved too
        ([(ONE, 0, 100), (ONE, 101 + AHEAD, 50)], 2, 150),
        ([(ONE, 0, 100), (ONE, 99, 50)], 2, 150),  # backwards
        ([(ONE, 0, 100), (ONE, 0, 100)], 2, 200),  # nothing is cached
        ([(ONE, 0, 100), (OTHER, 100, 50)], 2, 150),
        ([(ONE, 0, 100), (OTHER, 0, 100), (ONE, 100, 100)], 3, 300),
        ([(ONE, 0, 0)], 1, 0),
        ([], 0, 0),
    ],
)
def test_seeks_and_bytes_are_charged(reads: list[tuple[Path, int, int]], seeks: int, moved: int) -> None:
    disk = SimulatedDisk(QUICK)
    for file, offset, size in reads:
        disk.wait(file, offset, size)
    work = disk.work
    assert (work.seeks, work.bytes) == (seeks, moved)
    assert work.seeking == pytest.approx(seeks * 1e-6)
    assert work.moving == pytest.approx(moved * 1e-12)


def test_a_fresh_disk_has_done_nothing() -> None:
    assert SimulatedDisk(DISK_PROFILES["hdd"]).work == Work(0, 0, 0, 0)


def test_reading_takes_as_long_as_it_costs_at_least() -> None:
    disk = SimulatedDisk(DiskProfile("slow", 1e6, 0.01, "made up"))
    started = time.monotonic()
    disk.wait(ONE, 0, 20_000)
    disk.wait(OTHER, 0, 10_000)
    assert time.monotonic() - started >= 0.05 - 1e-6  # two seeks of 10 ms, 30 ms to move
    assert disk.work.seeking + disk.work.moving == pytest.approx(0.05)


def test_processes_share_the_one_head() -> None:
    """Both at once take as long as both one after the other: a lower bound, which no busy machine breaks."""
    disk = SimulatedDisk(DiskProfile("slow", 1e6, 0.01, "made up"))
    context = multiprocessing.get_context("fork")

    def read(file: Path) -> None:
        for number in range(5):
            disk.wait(file, 10 * AHEAD * number, 5_000)

    started = time.monotonic()
    processes = [context.Process(target=read, args=(file,)) for file in (ONE, OTHER)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    took = time.monotonic() - started
    assert [process.exitcode for process in processes] == [0, 0]
    assert (disk.work.seeks, disk.work.bytes) == (10, 50_000)
    assert took >= 10 * (0.01 + 0.005) - 1e-6


def test_the_own_disk_adds_nothing_and_the_documents_disks_are_there() -> None:
    OwnDisk().wait(Path("nowhere"), 0, 10**15)
    assert {name: (disk.bandwidth, disk.seek) for name, disk in DISK_PROFILES.items()} == {
        "hdd": (5e6, 0.013),
        "ssd": (50e6, 0.0001),
    }
    assert all(disk.name == name and disk.source for name, disk in DISK_PROFILES.items())
