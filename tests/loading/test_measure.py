"""Measuring how pictures come: the same ones in every format, each read once, from disks whose work can be counted."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from harness.data import faces, image_folder
from harness.data.image_folder import ImageFolder
from harness.data.order import BLOCK
from harness.data.page_cache import StillCachedError, drop, resident_share
from harness.data.storage import DISK_PROFILES, Disk, DiskProfile, OwnDisk, SimulatedDisk
from harness.loading import measure
from harness.loading.measure import DOCUMENTED, FOLDER, FORMATS, LMDB, PACKED, LoadingCell, Stored, load, store

SIDE, SAMPLES, BATCH = 64, 272, 32
BLOCKS = -(-SAMPLES // BLOCK)
PIXELS = SAMPLES * 3 * SIDE * SIDE
QUICK = DiskProfile("quick", 2e9, 2e-5, "so quick that nobody waits")
ALL = 1000.0  # seconds that are enough for all pictures on any disk


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("drawn")
    faces.write_faces(root, SAMPLES, seed=0)
    return sorted((root / image_folder.FOLDER).iterdir())


@pytest.fixture(scope="module")
def stored(drawn: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return store(drawn, tmp_path_factory.mktemp("stored"), SIDE)


@pytest.fixture
def in_memory(drawn: list[Path]) -> Iterator[Stored]:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no file system in memory here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield store(drawn[:3], Path(folder) / "copies", SIDE)


def droppable(stored: Stored) -> None:
    try:
        drop(stored.files(PACKED))
    except StillCachedError as error:
        pytest.skip(f"tests' files lie where no read is cold: {error}")


@dataclass(frozen=True)
class Noting:
    """The own disk, that writes down what it was asked for, by whichever process, and how much of it was cached."""

    notes: Path
    cached: bool = False

    def wait(self, file: Path, offset: int, size: int) -> None:
        share = resident_share([file]) if self.cached else 0.0
        with self.notes.open("a") as stream:
            stream.write(f"{file.name} {offset} {size} {share}\n")

    def asked(self) -> list[tuple[str, int, int, float]]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(name, int(a), int(b), float(c)) for name, a, b, c in (line.split() for line in lines)]


def cell(form: str, disk: Disk, cold: bool, workers: int = 0, seconds: float = 0.01) -> LoadingCell:
    return LoadingCell(form, disk, cold, workers, BATCH, seconds)


def test_every_format_holds_the_same_pictures_in_the_same_order(stored: Stored, drawn: list[Path]) -> None:
    documented = stored.open_as_documented(OwnDisk())
    expected = torch.stack([documented[index][0] for index in range(SAMPLES)])
    assert [Path(path).name for path, _ in documented.samples] == [file.name for file in drawn]
    for form in FORMATS[1:]:
        data = stored.open(form, OwnDisk())
        assert len(data) == SAMPLES
        assert torch.equal(data[torch.arange(SAMPLES)].data, expected), form


def test_the_pictures_are_copied_as_they_are_and_counted_in_bytes(stored: Stored, drawn: list[Path]) -> None:
    contents = [file.read_bytes() for file in drawn]
    assert [file.read_bytes() for file in stored.files(FOLDER)] == contents
    for form in (DOCUMENTED, FOLDER):
        assert stored.bytes_per_picture(form) == sum(map(len, contents)) / SAMPLES
    assert PIXELS <= stored.bytes_per_picture(PACKED) * SAMPLES < PIXELS + 64 * 1024
    assert stored.bytes_per_picture(LMDB) * SAMPLES > sum(map(len, contents))
    assert all(file.is_relative_to(stored.root) for form in FORMATS for file in stored.files(form))


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", FORMATS)
def test_a_cell_on_the_own_disk_gives_sane_numbers_and_leaves_nothing(
    form: str, workers: int, cold: bool, stored: Stored
) -> None:
    if cold:
        droppable(stored)
    state = torch.random.get_rng_state()
    found = load(stored, cell(form, OwnDisk(), cold, workers))
    assert found.images == SAMPLES if cold else found.images >= 2 * BATCH
    assert 0 < found.first_seconds <= found.seconds
    assert found.next_first_seconds == 0
    assert found.images_per_second == (found.steady or found.images / found.seconds)
    assert found.steady is None or not (cold and form == PACKED)
    assert found.cpu_seconds > 0
    assert found.work is None
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not multiprocessing.active_children()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cold_pass_reads_every_picture_exactly_once_and_in_one_order(
    workers: int, stored: Stored, tmp_path: Path
) -> None:
    droppable(stored)
    read = {}
    for form in FORMATS:
        disk = Noting(tmp_path / form)
        assert load(stored, cell(form, disk, True, workers)).images == SAMPLES
        read[form] = disk.asked()
    first, second = sorted((offset, size) for _, offset, size, _ in read[PACKED])
    assert first[0] + first[1] == second[0]
    assert first[1] + second[1] == PIXELS
    names = [name for name, *_ in read[FOLDER]]
    assert sorted(names) == [file.name for file in stored.files(FOLDER)]
    assert names != sorted(names)
    documented, in_database = [name for name, *_ in read[DOCUMENTED]], [size for _, _, size, _ in read[LMDB]]
    sizes = [size for _, _, size, _ in read[FOLDER]]
    if workers:  # which run at their own pace
        names, documented, sizes, in_database = sorted(names), sorted(documented), sorted(sizes), sorted(in_database)
    assert documented == names
    assert in_database == sizes


@pytest.mark.parametrize("form", [DOCUMENTED, PACKED])  # these ask before they read
def test_a_cold_pass_begins_with_an_empty_cache(form: str, stored: Stored, tmp_path: Path) -> None:
    droppable(stored)
    for file in stored.files(form):
        file.read_bytes()
    disk = Noting(tmp_path / "notes", cached=True)
    load(stored, cell(form, disk, True))
    shares = [share for *_, share in disk.asked()]
    assert shares[0] < 0.25, "of a pack the header has been read, with what the kernel reads ahead"
    assert form == PACKED or max(shares) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_a_warm_pass_asks_no_disk(form: str, stored: Stored, tmp_path: Path) -> None:
    disk = Noting(tmp_path / "notes")
    load(stored, cell(form, disk, False))
    assert disk.asked() == []
    simulated = SimulatedDisk(DISK_PROFILES["hdd"])
    assert load(stored, cell(form, simulated, False)).work is None
    assert simulated.work.seeks == 0


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", FORMATS)
def test_a_simulated_disk_does_the_work_that_its_profile_says(form: str, workers: int, stored: Stored) -> None:
    found = load(stored, cell(form, SimulatedDisk(QUICK), True, workers, ALL))
    work = found.work
    assert work is not None
    assert found.images == SAMPLES
    if form == PACKED:
        assert 1 <= work.seeks <= BLOCKS
        assert work.bytes == PIXELS
    else:
        own = sum(file.stat().st_size for file in stored.files(FOLDER))
        assert work.bytes == own if form != LMDB else own <= work.bytes <= own + SAMPLES * 128 * 1024
        assert work.seeks == SAMPLES if form != LMDB else SAMPLES / 2 < work.seeks <= SAMPLES
    assert work.seeking == pytest.approx(work.seeks * QUICK.seek)
    assert work.moving == pytest.approx(work.bytes / QUICK.bandwidth)


def test_a_disk_that_has_worked_before_counts_this_pass_alone(stored: Stored) -> None:
    disk = SimulatedDisk(QUICK)
    first, second = (load(stored, cell(FOLDER, disk, True, 0, ALL)).work for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.seeks, first.bytes) == (second.seeks, second.bytes)
    assert disk.work.seeks == 2 * SAMPLES


def test_a_hard_disk_spends_its_time_on_bytes_for_a_pack_and_on_seeks_for_a_folder(stored: Stored) -> None:
    share = {}
    for form in (PACKED, FOLDER, DOCUMENTED):
        small = LoadingCell(form, SimulatedDisk(DISK_PROFILES["hdd"]), True, 0, 8, 0.0)
        work = load(stored, small).work
        assert work is not None
        share[form] = work.moving / (work.seeking + work.moving)
    assert share[PACKED] >= 0.8
    assert 1 - share[FOLDER] >= 0.8
    assert share[DOCUMENTED] == share[FOLDER]


@pytest.mark.parametrize(("workers", "images"), [(0, 16), (2, 16), (3, 24)])
def test_a_slow_disk_gives_as_many_pictures_as_its_time_allows_but_each_worker_a_batch(
    workers: int, images: int, stored: Stored
) -> None:
    slow = SimulatedDisk(DiskProfile("slow", 1e9, 0.004, "for tests"))
    assert load(stored, LoadingCell(FOLDER, slow, True, workers, 8, 0.0)).images == images
    longer = load(stored, LoadingCell(FOLDER, slow, True, workers, 8, 0.2))
    assert 40 <= longer.images <= 50  # 0.2 s of 4 ms each


@pytest.mark.parametrize("form", FORMATS)
def test_where_the_cache_can_not_be_emptied_nothing_is_measured_cold(form: str, in_memory: Stored) -> None:
    with pytest.raises(StillCachedError, match=r"the page cache still holds .* a cold read can't be measured there"):
        load(in_memory, cell(form, OwnDisk(), True))
    assert load(in_memory, cell(form, SimulatedDisk(QUICK), True)).images == 3
    assert load(in_memory, cell(form, OwnDisk(), False)).images >= 2 * BATCH


def test_the_cpu_is_counted_for_what_was_delivered(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on for a second with every picture that is decoded."""
    decoded: list[Path] = []
    read = ImageFolder._read

    def counted(self: ImageFolder, file: Path) -> Tensor:
        decoded.append(file)
        return read(self, file)

    monkeypatch.setattr(ImageFolder, "_read", counted)
    monkeypatch.setattr(measure, "_cpu_seconds", lambda: float(len(decoded)))
    found = load(stored, cell(FOLDER, OwnDisk(), False))
    assert found.cpu_seconds == found.images


def test_warm_formats_are_timed_alike(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many processes are started between asking for the first batch and having it."""
    forks, seen = [0], []

    def clock() -> float:
        seen.append(forks[0])
        return time.perf_counter()

    def one_more() -> None:
        forks[0] += 1

    os.register_at_fork(after_in_parent=one_more)
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=clock, process_time=time.process_time))
    started = {}
    for form in (DOCUMENTED, FOLDER, LMDB):
        seen.clear()
        load(stored, cell(form, OwnDisk(), False, 2))
        started[form] = seen[1] - seen[0]
    assert len(set(started.values())) == 1, started


def test_a_cards_context_is_made_before_the_clock_starts(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes up to a second, which would be the first batch's."""
    happened: list[str] = []

    def clock() -> float:
        happened.append("clock")
        return 0.0

    def wait(_: object) -> None:
        happened.append("context")
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    monkeypatch.setattr("harness.loading.measure.time.perf_counter", clock)
    monkeypatch.setattr(measure, "drop", lambda _: None)
    cell = LoadingCell(FOLDER, OwnDisk(), True, 0, BATCH, 1.0, device=torch.device("cuda"))
    with pytest.raises(KeyboardInterrupt):
        load(stored, cell)
    assert happened == ["context"]
