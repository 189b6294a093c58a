"""How fast pictures come from disks, in which format, by how many workers; and that they are the same pictures.

`--storage hdd` and `ssd` are simulated; a folder, or NAME=FOLDER, measures the disk that it lies on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from harness.data.loader import batches
from harness.data.order import epoch_order
from harness.data.packed import PackedImages
from harness.data.storage import OwnDisk
from harness.loading.copies import Copies
from harness.loading.measure import FOLDER, FORMATS, LoadingCell, load
from harness.loading.record import Storage, images_digest, record_computing, record_loading, record_speed_up
from harness.records.metrics import (
    FORMAT,
    OPTION,
    OPTION_NEXT_EPOCH,
    OPTION_RATE,
    OPTION_VALUE,
    SAME_PICTURES,
    WINDOW,
    WORKERS,
)
from harness.suite.session import Session
from harness.suite.subject import Subject

pytestmark = [pytest.mark.alone, pytest.mark.shipped]

SIDE = 64
MAX_COMPARED = 128  # pictures
ON_A_CPU = 4  # a step at the document's batch takes seconds there


@pytest.fixture(scope="module")
def copies(whole_session: Session) -> Iterator[Copies]:
    with ExitStack() as stack:
        most, own = whole_session.profile.loading_pictures, whole_session.folder("runs")
        yield Copies(whole_session.root, most, SIDE, own, stack)


@pytest.fixture
def reading(suite: Session) -> Subject:
    """The first reference asked for that reads such pictures."""
    subjects = [*suite.choose(dataset="celeba"), *suite.choose(dataset="lsun-bedroom")]
    if not subjects:
        pytest.skip("nothing to check: no reference asked for is on celeba or lsun-bedroom")
    return subjects[0]


def batch_size(subject: Subject, *, cold: bool) -> int:
    """The document's, or a smaller one that the profile says: from a cold disk a few pictures take their time."""
    profile, documented = subject.session.profile, subject.card.batch_size
    asked = profile.cold_batch if cold else profile.warm_batch
    return min(documented, asked or documented)


def test_same_pictures(reading: Subject, copies: Copies, suite: Session) -> None:
    """Every format, number of workers and way of reading a pack gives the same values in the same order."""
    stored, generator = copies.on(None), torch.Generator().manual_seed(0)
    for window in (0, 256):
        order = epoch_order(stored.samples, window, generator)
        order = order[:: -(-len(order) // MAX_COMPARED)]  # from every window
        documented = DataLoader(stored.open_as_documented(OwnDisk()), batch_size=32, sampler=order.tolist())
        expected = images_digest([data for data, _ in documented])
        for form in FORMATS[1:]:
            for workers in suite.profile.loading_workers[:2]:
                data = stored.open(form, OwnDisk())
                if window and isinstance(data, PackedImages):
                    data.hold(window)
                read = batches(data, order, 32, drop_last=False, seed=0, workers=workers)
                found = images_digest([batch.data for batch in read])
                reading.record(
                    SAME_PICTURES,
                    float(found == expected),
                    data=copies.title,
                    real_data=copies.real,
                    n=len(order),
                    reason=f"SHA-256 {found[:16]}",
                    protocol={FORMAT: form, WORKERS: str(workers), WINDOW: str(window)},
                )
                assert found == expected, f"{form}, {workers} workers, window {window}: other values than documented"


@pytest.mark.parametrize("form", FORMATS)
def test_loading(storage: Storage, form: str, reading: Subject, copies: Copies, suite: Session) -> None:
    stored = copies.on(storage.place)
    # What is in the page cache comes from no disk: warm is measured once.
    for cold in (True, False) if storage is suite.settings.storages[0] else (True,):
        for workers in suite.profile.loading_workers:
            cell = LoadingCell(
                form,
                storage.disk(),
                cold,
                workers,
                batch_size(reading, cold=cold),
                suite.profile.loading_seconds,
                suite.device,
            )
            found = record_loading(suite.record, reading.spec, stored, cell, storage, copies.title, copies.real)
            assert found is None or found.images >= min(2 * cell.batch_size, stored.samples)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("prefetch", 1),
        ("prefetch", 2),
        ("prefetch", 8),
        ("persistent", True),
        ("persistent", False),
        ("pin_memory", True),
        ("pin_memory", False),
    ],
)
def test_options(option: str, value: int, reading: Subject, copies: Copies, suite: Session) -> None:
    """What prefetching, workers that live on, and page-locked memory are worth: two workers, warm."""
    if option == "pin_memory" and suite.device.type != "cuda":
        pytest.skip("page-locked memory plays a part on a GPU alone")
    cell = LoadingCell(
        FOLDER,
        OwnDisk(),
        False,
        2,
        batch_size(reading, cold=True),
        suite.profile.loading_seconds,
        suite.device,
        next_epoch=True,
        **{option: value},  # type: ignore[arg-type]
    )
    found = load(copies.on(None), cell)
    protocol = {OPTION: option, OPTION_VALUE: str(value), FORMAT: FOLDER, WORKERS: "2"}
    facts: dict[str, Any] = {
        "protocol": protocol,
        "data": copies.title,
        "real_data": copies.real,
        "batch_size": cell.batch_size,
    }
    reading.record(OPTION_RATE, found.images_per_second, **facts)
    reading.record(OPTION_NEXT_EPOCH, 1000 * found.next_first_seconds, **facts)
    assert found.next_first_seconds > 0


@pytest.mark.references(having="a comparison of disks")
def test_disks(subject: Subject, suite: Session) -> None:
    """The documents' comparison of two disks, with this machine's step time, or a stated one."""
    chosen = subject.reference
    batch = chosen.card.batch_size if suite.device.type == "cuda" else min(ON_A_CPU, chosen.card.batch_size)
    computing = record_computing(suite.record, subject.spec, chosen, batch, suite.device, suite.settings.step_ms)
    assert computing.rate > 0
    record_speed_up(suite.record, subject.spec, chosen.card.dataset, suite.records(), computing)
