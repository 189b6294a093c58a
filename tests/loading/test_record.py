"""From disks and cells to records: what counts as measured, what as simulated, and what decides a document's claim."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import harness.loading.record
from harness.data import faces, image_folder
from harness.data.loader import batches
from harness.data.page_cache import StillCachedError, drop
from harness.data.storage import DiskProfile, OwnDisk, SimulatedDisk
from harness.loading.measure import FOLDER, FORMATS, PACKED, LoadingCell, Stored, store
from harness.loading.record import (
    CACHE,
    EPOCHS,
    OWN,
    OWN_STORAGE,
    Storage,
    images_digest,
    parse_storage,
    record_computing,
    record_loading,
)
from harness.records.record import Record, Status, read_records
from harness.reporting.recorder import Recorder
from harness.training.synthetic_step import SyntheticStep
from reference import get
from tests.loading.conftest import CELEBA, MLP
from tests.processes import _context

QUICK = DiskProfile("quick", 2e9, 2e-5, "so quick that nobody waits")
SAMPLES, SIDE = 12, 16


def written(recorder: Recorder) -> list[Record]:
    return read_records(recorder.report / "records.jsonl")


def only(recorder: Recorder) -> Record:
    (found,) = written(recorder)
    return found


def copies(root: Path) -> Stored:
    faces.write_faces(root, SAMPLES, seed=0)
    return store(sorted((root / image_folder.FOLDER).iterdir()), root / "copies", SIDE)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return copies(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def in_memory() -> Iterator[Stored]:
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no file system in memory here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield copies(Path(folder))


# Which disk is meant.


@pytest.mark.parametrize("name", ["hdd", "ssd"])
def test_a_profiles_name_is_a_simulated_disk_that_starts_at_rest(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)  # even where a folder has that name
    found = parse_storage(name)
    assert found == Storage(name, profile=name)
    disk = found.disk()
    assert isinstance(disk, SimulatedDisk)
    assert disk.profile.name == name
    assert disk.work.seeks == 0
    assert found.disk() is not disk


def test_a_folder_is_the_disk_that_it_lies_on_under_its_own_name_or_another(tmp_path: Path) -> None:
    assert parse_storage(str(tmp_path)) == Storage(str(tmp_path), place=tmp_path)
    assert parse_storage(f"hdd={tmp_path}") == Storage("hdd", place=tmp_path)
    assert isinstance(parse_storage(f"hdd={tmp_path}").disk(), OwnDisk)
    assert isinstance(OWN_STORAGE.disk(), OwnDisk)
    assert (OWN_STORAGE.name, OWN_STORAGE.place) == (OWN, None)


def test_a_folder_may_have_an_equals_sign_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert parse_storage(str(folder)) == Storage(str(folder), place=folder)
    assert parse_storage(f"old={folder}") == Storage("old", place=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "unknown storage 'nowhere': hdd or ssd simulate a disk; a folder measures the disk that it lies"),
        ("HDD", "unknown storage 'HDD'"),
        ("hdd=nowhere", "the storage hdd can't be used: nowhere isn't a folder"),
        ("hdd=ssd", "the storage hdd can't be used: ssd isn't a folder"),
        (f"here={__file__}", "the storage here can't be used: "),
        (__file__, "unknown storage '"),
        ("=", "unknown storage '='"),
        ("=/tmp", "unknown storage '=/tmp'"),
        (f"{CACHE}=/tmp", f"a storage can't be called '{CACHE}'"),
    ],
)
def test_what_is_no_disk_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + message):
        parse_storage(text)


@pytest.mark.parametrize("text", ["hdd=", ""])
def test_no_folder_is_not_the_working_directory(text: str) -> None:
    with pytest.raises(ValueError, match="storage"):
        parse_storage(text)


def _parse_where_nothing_can_be_written(folder: Path, told: Path) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
        told.write_text("not permitted")
        return
    for words in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]):
        subprocess.run(["mount", *words], check=True)
    try:
        told.write_text(f"accepted: {parse_storage(str(folder))}")
    except ValueError as error:
        told.write_text(str(error))


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    folder, told = tmp_path / "mounted", tmp_path / "told"
    folder.mkdir()
    process = _context().Process(target=_parse_where_nothing_can_be_written, args=(folder, told))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    if told.read_text() == "not permitted":
        pytest.skip("no process here may have mounts of its own")
    expected = f"the storage {folder} can't be written: pictures are copied there to be read again"
    assert told.read_text() == expected


# What a cell leaves.


def cell_of(storage: Storage, form: str, cold: bool, workers: int = 0) -> LoadingCell:
    disk = SimulatedDisk(QUICK) if storage.profile else storage.disk()
    return LoadingCell(form, disk, cold, workers, 4, 0.01)


PLAIN = {
    "images_per_second",
    "read_mb_per_second",
    "first_batch_ms",
    "cpu_s_per_1000_images",
    "epoch_hours celeba",
    "epoch_hours lsun",
}
SHARES = {"disk_seeking_share", "disk_moving_share"}


@pytest.mark.parametrize(
    ("disk", "cold", "name", "status"),
    [
        (Storage("ssd", profile="ssd"), True, "ssd", "simulated"),
        (Storage("ssd", profile="ssd"), False, CACHE, "measured"),
        (OWN_STORAGE, True, OWN, "measured"),
        (OWN_STORAGE, False, CACHE, "measured"),
        (Storage("ssd", place=Path()), True, "ssd", "measured"),
    ],
    ids=["simulated, cold", "simulated, warm", "own, cold", "own, warm", "a folder called ssd, cold"],
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_cell_is_recorded_with_its_status(
    form: str, disk: Storage, cold: bool, name: str, status: Status, stored: Stored, recorder: Recorder, write: Any
) -> None:
    if cold and not disk.profile:
        try:
            drop(stored.files(PACKED))
        except StillCachedError as error:
            pytest.skip(f"tests' files lie where no read is cold: {error}")
    found = record_loading(write, CELEBA, stored, cell_of(disk, form, cold), disk, "drawn", False)
    assert found is not None
    records = {" ".join([r.metric, r.protocol.get("data set", "")]).strip(): r for r in written(recorder)}
    assert len(records) == len(written(recorder))
    assert records.keys() == (PLAIN | SHARES if status == "simulated" else PLAIN)
    protocol = {"storage": name, "format": form, "workers": "0", "cache": "cold" if cold else "warm", "side": str(SIDE)}
    for r in records.values():
        facts = {key: value for key, value in r.protocol.items() if key != "data set"}
        assert (r.status, r.suite, r.reference, facts) == (status, "loading", CELEBA, protocol)
        assert (r.data, r.real_data, r.n, r.batch_size) == ("drawn", False, SAMPLES, 4)
    values = {metric: r.value or 0.0 for metric, r in records.items()}
    rate = values["images_per_second"]
    assert rate == found.images_per_second
    assert values["read_mb_per_second"] == pytest.approx(rate * stored.bytes_per_picture(form) / 1e6)
    assert values["first_batch_ms"] == 1000 * found.first_seconds
    assert values["cpu_s_per_1000_images"] == pytest.approx(1000 * found.cpu_seconds / found.images)
    for data, pictures in EPOCHS.items():
        assert values[f"epoch_hours {data}"] == pytest.approx(pictures / rate / 3600)
    if status == "simulated":
        assert found.work is not None
        assert values["disk_seeking_share"] == found.work.seeking / found.seconds
        assert values["disk_moving_share"] == found.work.moving / found.seconds
        assert records["images_per_second"].reason.startswith("bound by ")
    assert (found.steady is None) == records["images_per_second"].reason.endswith("the start included")


def test_a_cache_that_can_not_be_emptied_is_one_record_with_its_reason(
    in_memory: Stored, recorder: Recorder, write: Any
) -> None:
    storage = Storage("shm", place=Path("/dev/shm"))
    assert record_loading(write, CELEBA, in_memory, cell_of(storage, FOLDER, True), storage, "drawn", False) is None
    found = only(recorder)
    assert (found.metric, found.value, found.status) == ("images_per_second", None, "skipped")
    assert found.protocol["storage"] == "shm"
    assert "a cold read can't be measured there" in found.reason
    assert (
        record_loading(write, CELEBA, in_memory, cell_of(storage, FOLDER, False), storage, "drawn", False) is not None
    )


def test_a_stated_time_of_a_step_is_recorded_as_an_estimate(recorder: Recorder, write: Any) -> None:
    computing = record_computing(write, CELEBA, get(CELEBA), 4, torch.device("cpu"), 40.0)
    found = only(recorder)
    assert computing.rate == found.value == 128 / 0.040
    assert computing.status == "estimated"
    assert (found.metric, found.status, found.batch_size) == ("computing_images_per_second", "estimated", 128)
    assert found.reason == "from the stated 40 ms a step"


def test_a_step_is_measured_and_leaves_the_random_state_alone(recorder: Recorder, write: Any) -> None:
    before = torch.random.get_rng_state()
    computing = record_computing(write, MLP, get(MLP), 8, torch.device("cpu"), None)
    found = only(recorder)
    assert computing.rate == found.value
    assert computing.rate > 0
    assert (found.status, found.batch_size) == ("measured", 8)
    assert torch.equal(torch.random.get_rng_state(), before)


# Two disks against each other.


def test_digests_are_those_of_all_values_in_order_however_they_are_cut(stored: Stored) -> None:
    data, order = stored.open(PACKED, OwnDisk()), torch.arange(SAMPLES)

    def of(chosen: torch.Tensor, size: int) -> str:
        return images_digest([batch.data for batch in batches(data, chosen, size, drop_last=False, seed=0)])

    assert of(order, 4) == of(order, 5)
    assert of(order, 4) != of(order.flip(0), 4)
    assert of(order, 4) != of(order[:-1], 4)


def test_a_cards_steps_are_timed_when_it_is_warm_and_has_nothing_else_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is queued: what was queued before would be part of its time."""
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: asked.append("wait"))
    monkeypatch.setattr(torch.random, "fork_rng", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(SyntheticStep, "__init__", lambda self, *_: setattr(self, "_device", torch.device("cuda")))
    monkeypatch.setattr(SyntheticStep, "__call__", lambda _: asked.append("step"))
    monkeypatch.setattr(harness.loading.record, "step_threads", lambda *_: 1)
    times = harness.loading.record._step_seconds(get("mlp-gan-mnist"), 4, torch.device("cuda"))
    assert len(times) == 5
    assert asked == ["step"] * 3 + ["wait", "step", "wait"] * 5
