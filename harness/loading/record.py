"""What the loading suite does: from disks, formats and workers to records."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness.data.page_cache import StillCachedError
from harness.data.storage import DISK_PROFILES, Disk, OwnDisk, SimulatedDisk
from harness.loading.measure import DOCUMENTED, LMDB, PACKED, LoadingCell, LoadResult, Stored, load
from harness.memory.record import Write
from harness.records import metrics as m
from harness.records.metrics import COMPUTED_ON
from harness.records.record import Record, Status
from harness.training.device import computed, numerics
from harness.training.flops import step_threads
from harness.training.synthetic_step import SyntheticStep
from reference import Reference

OWN = "this machine's disk"
CACHE = "page cache"
EPOCHS: Mapping[str, int] = {"celeba": 202_599, "lsun": 3_033_042}  # pictures in an epoch of the documents' sets
PICTURES = "celeba"  # the data set whose pictures, or stand-ins, are read in every format
_WARM_UP, _TIMED = {"cuda": 3, "cpu": 1}, {"cuda": 5, "cpu": 2}  # steps: on a CPU they take seconds


@dataclass(frozen=True)
class Storage:
    """A disk to measure: `profile` names a simulated one, otherwise `place` lies on it; None is the report's disk."""

    name: str
    profile: str = ""
    place: Path | None = None

    def disk(self) -> Disk:
        """The disk itself, or a simulated one that starts at rest."""
        return SimulatedDisk(DISK_PROFILES[self.profile]) if self.profile else OwnDisk()


OWN_STORAGE = Storage(OWN)


def parse_storage(text: str) -> Storage:
    """`hdd` or `ssd` for a simulated disk, a folder on a real one, or NAME=FOLDER to call it something.

    Raises:
        ValueError: it is none of these, or the folder can't be written.
    """
    if text in DISK_PROFILES:
        return Storage(text, profile=text)
    name, _, place = text.partition("=") if "=" in text and not Path(text).exists() else (text, "", text)
    folder = Path(place)
    if name and place and "=" in text and not folder.is_dir():
        raise ValueError(f"the storage {name} can't be used: {folder} isn't a folder")
    if not (name and place and folder.is_dir()):
        raise ValueError(
            f"unknown storage {text!r}: {' or '.join(DISK_PROFILES)} simulate a disk; a folder measures the disk that "
            "it lies on, NAME=FOLDER under that name"
        )
    if not os.access(folder, os.W_OK):
        raise ValueError(f"the storage {folder} can't be written: pictures are copied there to be read again")
    if name in (OWN, CACHE):
        raise ValueError(f"a storage can't be called {name!r}: that is a row of the table already")
    return Storage(name, place=folder)


def record_loading(
    write: Write, spec: str, stored: Stored, cell: LoadingCell, storage: Storage, data: str, real: bool
) -> LoadResult | None:
    """Measure one cell and record it; a cache that can't be emptied is a row with its reason."""
    simulated = bool(storage.profile) and cell.cold
    facts: dict[str, Any] = {
        "batch_size": cell.batch_size,
        "data": data,
        "real_data": real,
        "n": stored.samples,
        "protocol": {
            m.STORAGE: storage.name if cell.cold else CACHE,
            m.FORMAT: cell.form,
            m.WORKERS: str(cell.workers),
            m.CACHE: "cold" if cell.cold else "warm",
            "side": str(stored.side),
        },
    }
    status: Status = "simulated" if simulated else "measured"
    try:
        found = load(stored, cell)
    except StillCachedError as error:
        write(spec, m.IMAGES_PER_SECOND, None, status="skipped", reason=str(error), **facts)
        return None
    facts["status"] = status
    rate = found.images_per_second
    said = [_bound(found, cell.form), "the start included" if found.steady is None else ""]
    write(spec, m.IMAGES_PER_SECOND, rate, reason="; ".join(filter(None, said)), **facts)
    megabytes = rate * stored.bytes_per_picture(cell.form) / 1e6
    write(spec, m.READ_MB_PER_SECOND, megabytes, **facts)
    write(spec, m.FIRST_BATCH_MS, 1000 * found.first_seconds, **facts)
    write(spec, m.CPU_SECONDS, 1000 * found.cpu_seconds / found.images, **facts)
    for name, pictures in EPOCHS.items():
        protocol = facts["protocol"] | {m.DATA_SET: name}
        write(spec, m.EPOCH_HOURS, pictures / rate / 3600, **(facts | {"protocol": protocol}))
    if found.work is not None:
        write(spec, m.DISK_SEEKING, found.work.seeking / found.seconds, **facts)
        write(spec, m.DISK_MOVING, found.work.moving / found.seconds, **facts)
    return found


@dataclass(frozen=True)
class Computing:
    """How many pictures a second a reference's steps can use, and how that is known."""

    rate: float
    status: Status
    device: torch.device


def record_computing(
    write: Write, spec: str, reference: Reference, batch: int, device: torch.device, stated_ms: float | None
) -> Computing:
    """Take the time stated for a step at the document's batch, or measure some steps at this one; record it."""
    status: Status = "measured" if stated_ms is None else "estimated"
    if stated_ms is None:
        seconds = _step_seconds(reference, batch, device)
        rate, how = batch / median(seconds), f"{len(seconds)} steps at batch {batch}"
    else:
        batch = reference.card.batch_size
        rate, how = 1000 * batch / stated_ms, f"from the stated {stated_ms:g} ms a step"
    write(
        spec,
        m.COMPUTING_RATE,
        rate,
        status=status,
        reason=how,
        batch_size=batch,
        data="drawn values in the card's shape",
        protocol={m.STORAGE: "none: computing"},
        computed=computed(device, deterministic=False) if stated_ms is None else None,
    )
    return Computing(rate, status, device)


def _step_seconds(reference: Reference, batch: int, device: torch.device) -> list[float]:
    """Of some steps, computed as documented."""
    on_cuda = device.type == "cuda"
    threads = step_threads(reference, batch, device)
    with (
        torch.random.fork_rng([device] if on_cuda else []),
        numerics(device, deterministic=False, threads=threads),
    ):
        step = SyntheticStep(reference, batch, device)
        for _ in range(_WARM_UP[device.type]):
            step()
        return [step.seconds() for _ in range(_TIMED[device.type])]


def record_speed_up(write: Write, spec: str, dataset: str, records: Sequence[Record], computing: Computing) -> None:
    """How much shorter an epoch is on `ssd` than on `hdd`, read as documented while steps compute.

    By the most workers that were measured.
    """
    form = LMDB if dataset.startswith("lsun") else DOCUMENTED
    numbers = {int(r.protocol[m.WORKERS]) for r in records if {m.WORKERS, m.STORAGE} <= r.protocol.keys()}
    wanted = {m.FORMAT: form, m.WORKERS: str(max(numbers, default=0)), m.CACHE: "cold"}
    cells = {
        r.protocol[m.STORAGE]: r
        for r in records
        if r.metric == m.IMAGES_PER_SECOND.name and wanted.items() <= r.protocol.items()
    }
    reasons = [
        f"no cold reading from {name}: "
        + (cells[name].reason if name in cells else f"--storage {name}, or {name}=FOLDER")
        for name in DISK_PROFILES
        if name not in cells or not cells[name].value
    ]
    if reasons:
        write(spec, m.DISK_SPEED_UP, None, status="skipped", reason="; ".join(reasons))
        return
    # Workers read while a step computes: the slower of the two decides.
    rates = {name: cells[name].value or 0.0 for name in DISK_PROFILES}
    slow, fast = (min(rates[name], computing.rate) for name in ("hdd", "ssd"))
    bound = {name: "loading" if rate < computing.rate else "computing" for name, rate in rates.items()}
    status: Status = "simulated" if any(cells[name].status == "simulated" for name in rates) else "measured"
    if status == "measured" and "computing" in bound.values():
        status = computing.status
    cell = cells["hdd"]
    write(
        spec,
        m.DISK_SPEED_UP,
        fast / slow,
        status=status,
        data=cell.data,
        real_data=cell.real_data and dataset == PICTURES,  # of another set these are the format, not the pictures
        protocol={m.FORMAT: form, m.WORKERS: wanted[m.WORKERS], COMPUTED_ON: computing.device.type},
        reason=f"bound by {bound['hdd']} on hdd and by {bound['ssd']} on ssd; the document compares two cards as well",
    )


def images_digest(batches: Sequence[torch.Tensor]) -> str:
    """SHA-256 of all values of float batches, in order."""
    summed = hashlib.sha256()
    for batch in batches:
        summed.update(batch.contiguous().numpy().data)
    return summed.hexdigest()


def _bound(found: LoadResult, form: str) -> str:
    """What a simulated disk was busy with, or that it wasn't."""
    if found.work is None:
        return ""
    shares = {"seeking": found.work.seeking / found.seconds, "bandwidth": found.work.moving / found.seconds}
    shares["copying" if form == PACKED else "decoding"] = max(0.0, 1 - sum(shares.values()))
    largest = max(shares, key=lambda name: shares[name])
    return f"bound by {largest}"
