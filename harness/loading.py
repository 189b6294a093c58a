"""What the loading suite does: from disks, formats and workers to records."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness.data.disk import DISK_PROFILES, Disk, OwnDisk, SimulatedDisk
from harness.data.page_cache import StillCachedError
from harness.measurement.loading import DOCUMENTED, LMDB, Loaded, LoadingCell, Stored, load
from harness.measurement.prepared import PreparedStep
from harness.measuring import Write
from harness.record import Record, Status
from reference import Reference

OWN = "this machine's disk"
CACHE = "page cache"
WORKERS = (0, 2, 4)
EPOCHS: Mapping[str, int] = {"celeba": 202_599, "lsun": 3_033_042}  # pictures in an epoch of the documents' sets
SPEED_UP = "epoch_speed_up_ssd_over_hdd"
_STEPS = 2


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
    name, named, place = text.partition("=") if not Path(text).exists() else (text, "", text)
    folder = Path(place if named or place else text)
    if not folder.is_dir():
        raise ValueError(
            f"unknown storage {text!r}: {' or '.join(DISK_PROFILES)} simulate a disk; a folder measures the disk that "
            "it lies on, NAME=FOLDER under that name"
        )
    if not os.access(folder, os.W_OK):
        raise ValueError(f"the storage {folder} can't be written: pictures are copied there to be read again")
    if named and not name:
        raise ValueError(f"the storage {text!r} has an empty name")
    return Storage(name, place=folder)


def record_cell(
    write: Write, spec: str, stored: Stored, cell: LoadingCell, storage: Storage, data: str, real: bool
) -> Loaded | None:
    """Measure one cell and record it; a cache that can't be emptied is a row with its reason."""
    simulated = bool(storage.profile) and cell.cold
    facts: dict[str, Any] = {
        "batch_size": cell.batch_size, "data": data, "real_data": real, "n": stored.samples,
        "protocol": {
            "storage": storage.name if cell.cold else CACHE, "format": cell.form, "workers": str(cell.workers),
            "cache": "cold" if cell.cold else "warm", "side": str(stored.side),
        },
    }  # fmt: skip
    status: Status = "simulated" if simulated else "measured"
    try:
        found = load(stored, cell)
    except StillCachedError as error:
        write(spec, "images_per_second", None, "1/s", "higher", status="skipped", reason=str(error), **facts)
        return None
    facts["status"] = status
    rate = found.images_per_second
    write(spec, "images_per_second", rate, "1/s", "higher", reason=_bound(found), **facts)
    megabytes = rate * stored.bytes_per_picture(cell.form) / 1e6
    write(spec, "read_mb_per_second", megabytes, "MB/s", "none", **facts)
    write(spec, "first_batch_ms", 1000 * found.first_seconds, "ms", "lower", **facts)
    write(spec, "cpu_s_per_1000_images", 1000 * found.cpu_seconds / found.images, "s", "lower", **facts)
    for name, pictures in EPOCHS.items():
        write(spec, f"epoch_hours_{name}", pictures / rate / 3600, "h", "lower", **facts)
    if found.work is not None:
        write(spec, "disk_seeking_share", found.work.seeking / found.seconds, "share", "none", **facts)
        write(spec, "disk_moving_share", found.work.moving / found.seconds, "share", "none", **facts)
    return found


def record_computing(write: Write, spec: str, reference: Reference, batch: int, device: torch.device,
                     stated_ms: float | None) -> float:  # fmt: skip
    """How many pictures a second a step can use: from the time stated for the document's batch, or measured."""
    facts: dict[str, Any] = {"data": "drawn values in the card's shape", "protocol": {"storage": "none: computing"}}
    if stated_ms is not None:
        rate = 1000 * reference.card.batch_size / stated_ms
        write(spec, "computing_images_per_second", rate, "1/s", "higher", status="estimated",
              reason=f"from the stated {stated_ms:g} ms a step", batch_size=reference.card.batch_size,
              **facts)  # fmt: skip
        return rate
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        step = PreparedStep(reference, batch, device)
        step()
        times = []
        for _ in range(_STEPS):
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - started)
    rate = batch / median(times)
    write(spec, "computing_images_per_second", rate, "1/s", "higher", reason=f"{_STEPS} steps at batch {batch}",
          batch_size=batch, **facts)  # fmt: skip
    return rate


def record_speed_up(write: Write, spec: str, dataset: str, records: Sequence[Record], computing: float) -> None:
    """How much shorter an epoch is on `ssd` than on `hdd`, read as documented by four workers while steps compute."""
    form = LMDB if dataset.startswith("lsun") else DOCUMENTED
    wanted = {"format": form, "workers": str(WORKERS[-1]), "cache": "cold"}
    found = {
        r.protocol["storage"]: r
        for r in records
        if r.metric == "images_per_second" and r.value and wanted.items() <= r.protocol.items()
    }
    lacking = [name for name in DISK_PROFILES if name not in found]
    if lacking:
        reason = f"no cold reading from {' and '.join(lacking)}: --storage {lacking[0]}, or {lacking[0]}=FOLDER"
        write(spec, SPEED_UP, None, "ratio", "higher", status="skipped", reason=reason)
        return
    # Workers read while a step computes: the slower of the two decides.
    slow, fast = (min(found[name].value or 0.0, computing) for name in ("hdd", "ssd"))
    status: Status = "measured" if all(r.status == "measured" for r in found.values()) else "simulated"
    bound = {name: "loading" if (found[name].value or 0.0) < computing else "computing" for name in ("hdd", "ssd")}
    write(
        spec, SPEED_UP, fast / slow, "ratio", "higher", status=status, data=found["hdd"].data,
        real_data=found["hdd"].real_data, protocol={"format": form, "workers": wanted["workers"]},
        reason=f"bound by {bound['hdd']} on hdd and by {bound['ssd']} on ssd; the document compares two cards as well",
    )  # fmt: skip


def digest(batches: Sequence[torch.Tensor]) -> str:
    """SHA-256 of all values of float batches, in order."""
    summed = hashlib.sha256()
    for batch in batches:
        summed.update(batch.contiguous().numpy().data)
    return summed.hexdigest()


def _bound(found: Loaded) -> str:
    """What a simulated disk was busy with, or that it wasn't."""
    if found.work is None:
        return ""
    shares = {"seeking": found.work.seeking / found.seconds, "bandwidth": found.work.moving / found.seconds}
    shares["decoding"] = max(0.0, 1 - sum(shares.values()))
    largest = max(shares, key=lambda name: shares[name])
    return f"bound by {largest}"
