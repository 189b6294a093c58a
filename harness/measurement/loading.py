"""How fast pictures come: one format on one disk, read by some workers, with a cold or a warm cache."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from harness.data.dataset import Dataset
from harness.data.delivery import delivered
from harness.data.disk import Disk, OwnDisk, SimulatedDisk, Work
from harness.data.image_folder import ImageFolder
from harness.data.loader import PREFETCH, Loader, chunks_of
from harness.data.lsun import DATA, Lsun, write_lmdb
from harness.data.packed import PackedImages, read_pack
from harness.data.packing import pack_of, write_pack
from harness.data.page_cache import drop

if sys.platform != "win32":
    import resource

DOCUMENTED, FOLDER, LMDB, PACKED = "folder, as documented", "folder", "LMDB", "packed"
FORMATS = (DOCUMENTED, FOLDER, LMDB, PACKED)
_FEWEST = 2  # batches that are timed, however long they take
_MORE_THAN_POSSIBLE = {False: 50_000, True: 1_000_000}  # pictures a second, decoded and packed
_RANGE = (-1.0, 1.0)


@dataclass(frozen=True)
class Stored:
    """The same pictures in every format, below one folder."""

    root: Path
    side: int
    samples: int

    def files(self, form: str) -> list[Path]:
        """The files that a format reads."""
        if form == PACKED:
            return [pack_of(self._pictures, self.side)]
        if form == LMDB:
            return [self._database / DATA]
        return sorted(self._pictures.iterdir())

    def bytes_per_picture(self, form: str) -> float:
        """What the disk has to give for one picture."""
        return sum(file.stat().st_size for file in self.files(form)) / self.samples

    def open(self, form: str, disk: Disk) -> Dataset:
        """The pictures in one of this project's formats."""
        shape = (3, self.side, self.side)
        if form == PACKED:
            return PackedImages(read_pack(pack_of(self._pictures, self.side)), _RANGE, "pictures", True, disk)
        if form == LMDB:
            return Lsun(self._database, shape, _RANGE, disk=disk)
        return ImageFolder(self._pictures, shape, _RANGE, disk=disk)

    def open_as_documented(self, disk: Disk) -> datasets.ImageFolder:
        """Document 000's data set, from its own lines."""
        return datasets.ImageFolder(
            str(self.root / "pictures"),
            transforms.Compose(
                [
                    transforms.Resize(self.side),
                    transforms.CenterCrop(self.side),
                    transforms.ToTensor(),
                    transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
                ]
            ),
            loader=_Waiting(disk),
        )

    @property
    def _pictures(self) -> Path:
        return self.root / "pictures" / "all"

    @property
    def _database(self) -> Path:
        return self.root / "lmdb"


class _Waiting:
    """torchvision's own way of opening a picture, on a disk that may be simulated."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def __call__(self, path: str) -> Image.Image:
        file = Path(path)
        self.disk.wait(file, 0, file.stat().st_size)
        image: Image.Image = datasets.folder.pil_loader(path)
        return image


@dataclass(frozen=True)
class LoadingCell:
    """What to measure.

    Attributes:
        disk: the one that the files lie on, or a simulated one.
        cold: the page cache is emptied first; on a simulated disk nothing is ever cached. Otherwise every file has just
            been read, and no disk is asked.
        batch_size, seconds: batches of so many. A warm pass goes on for so many seconds; a cold one reads every picture
            once, or on a simulated disk as many as it gives in that time (of a pack all).
    """

    form: str
    disk: Disk
    cold: bool
    workers: int
    batch_size: int
    seconds: float
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    prefetch: int = PREFETCH
    persistent: bool = True
    pin_memory: bool = True


@dataclass(frozen=True)
class Loaded:
    """What came out.

    Attributes:
        images, seconds: that were delivered from asking for the first batch on.
        first_seconds: until the first batch was there.
        next_first_seconds: until the first batch of a further epoch was there, by the same loader.
        cpu_seconds: of this process and the workers.
        work: what a simulated disk did meanwhile.
    """

    images: int
    seconds: float
    first_seconds: float
    next_first_seconds: float
    cpu_seconds: float
    work: Work | None

    @property
    def images_per_second(self) -> float:
        """Pictures a second, the start included."""
        return self.images / self.seconds


def store(pictures: Sequence[Path], root: Path, side: int) -> Stored:
    """Copy `pictures` to `root` as a folder, a database and a pack."""
    stored = Stored(root, side, len(pictures))
    folder = root / "pictures" / "all"
    folder.mkdir(parents=True)
    for file in pictures:
        shutil.copyfile(file, folder / file.name)
    write_lmdb(root / "lmdb", ((file.stem.encode(), file.read_bytes()) for file in pictures))
    write_pack(folder, pack_of(folder, side), side, workers=0, skip_damaged=False, said=lambda *_: None)
    return stored


def load(stored: Stored, cell: LoadingCell) -> Loaded:
    """Measure one cell.

    Raises:
        StillCachedError: the page cache can't be emptied there.
    """
    files = stored.files(cell.form)
    simulated = cell.disk if isinstance(cell.disk, SimulatedDisk) else None
    if cell.cold and simulated is None:
        drop(files)
    else:
        for file in files:
            file.read_bytes()
    disk = cell.disk if cell.cold else OwnDisk()
    before = simulated.work if simulated else None
    cpu = _cpu_seconds()
    with _source(stored, cell, disk) as epoch:
        if not cell.cold:  # what is done once in a run, like checking a pack, is done before
            for _ in epoch(torch.arange(stored.samples if cell.form == PACKED else 1)):
                pass
        asked, next_epoch = epoch(_order(stored, cell)), epoch(_order(stored, cell)[: cell.batch_size])
        images, first = 0, 0.0
        started = time.perf_counter()
        for count in asked:
            now = time.perf_counter() - started
            first = first or now
            images += count
            if not cell.cold and images >= _FEWEST * cell.batch_size and now > cell.seconds:
                break
        _finish(cell.device)
        seconds = time.perf_counter() - started
        del asked
        again = time.perf_counter()
        next_first = 0.0
        if not cell.cold:
            for _ in next_epoch:
                next_first = next_first or time.perf_counter() - again
    work = _difference(before, simulated.work) if simulated and before and cell.cold else None
    return Loaded(images, seconds, first, next_first, _cpu_seconds() - cpu, work)


def _order(stored: Stored, cell: LoadingCell) -> Tensor:
    """Which pictures a pass reads: a warm one, shuffled anew after each epoch, more than it will have time for."""
    generator = torch.Generator().manual_seed(0)
    if not cell.cold:
        enough = _MORE_THAN_POSSIBLE[cell.form == PACKED]
        passes = max(1, int(cell.seconds * enough / stored.samples))
        return torch.cat([torch.randperm(stored.samples, generator=generator) for _ in range(passes)])
    order = torch.randperm(stored.samples, generator=generator)
    if isinstance(cell.disk, SimulatedDisk) and cell.form != PACKED:
        disk = cell.disk.profile
        each = disk.seek + stored.bytes_per_picture(cell.form) / disk.bandwidth
        least = cell.batch_size * max(_FEWEST, cell.workers)  # each worker has one batch at least
        return order[: max(least, int(cell.seconds / each))]
    return order


@contextlib.contextmanager
def _source(stored: Stored, cell: LoadingCell, disk: Disk) -> Iterator[Callable[[Tensor], Iterator[int]]]:
    """From an order to the sizes of its batches, each once it is where a step would use it."""
    if cell.form == DOCUMENTED:
        pictures = stored.open_as_documented(disk)
        yield lambda order: _as_documented(pictures, order.tolist(), cell)
        return
    dataset = stored.open(cell.form, disk)
    pin = cell.pin_memory and cell.device.type == "cuda"
    with Loader(
        dataset, workers=cell.workers, prefetch=cell.prefetch, persistent=cell.persistent, pin_memory=pin
    ) as loader:

        def epoch(order: Tensor) -> Iterator[int]:
            read = loader.stored(chunks_of(order, cell.batch_size, drop_last=False))
            return (len(batch.data) for batch in delivered(read, dataset, cell.device))

        yield epoch


def _as_documented(pictures: datasets.ImageFolder, order: list[int], cell: LoadingCell) -> Iterator[int]:
    """The document's loader, with an order given, so that all formats read the same."""
    with warnings.catch_warnings():
        # More workers than cores are slow, not wrong.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader: DataLoader[Any] = DataLoader(
            pictures, batch_size=cell.batch_size, sampler=order, num_workers=cell.workers,
            generator=torch.Generator(),
        )  # fmt: skip
        batches = iter(loader)
    for data, _ in batches:
        yield len(data.to(cell.device))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _cpu_seconds() -> float:
    """Of this process and of all children that have ended."""
    if sys.platform == "win32":
        return time.process_time()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _difference(before: Work, after: Work) -> Work:
    return Work(
        after.seeking - before.seeking, after.moving - before.moving, after.seeks - before.seeks,
        after.bytes - before.bytes,
    )  # fmt: skip
