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
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from harness.data.dataset import Dataset
from harness.data.device_transfer import DeviceTransfer
from harness.data.image_folder import ImageFolder
from harness.data.loader import Loader, batches, chunks_of
from harness.data.lsun import DATA, Lsun, write_lmdb
from harness.data.packed import PackedImages, read_pack
from harness.data.packing import pack_of, write_pack
from harness.data.page_cache import drop
from harness.data.storage import Disk, OwnDisk, SimulatedDisk, Work
from harness.records.options import PREFETCH

if TYPE_CHECKING:
    from torchvision import datasets

if sys.platform != "win32":
    import resource

DOCUMENTED, FOLDER, LMDB, PACKED = "folder, as documented", "folder", "LMDB", "packed"
FORMATS = (DOCUMENTED, FOLDER, LMDB, PACKED)
_MIN_BATCHES = 2  # batches
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
        from torchvision import datasets, transforms  # brings TorchDynamo: two seconds

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
        from torchvision.datasets.folder import pil_loader

        self.disk = disk
        self._load: Callable[[str], Image.Image] = pil_loader

    def __call__(self, path: str) -> Image.Image:
        file = Path(path)
        self.disk.wait(file, 0, file.stat().st_size)
        return self._load(path)


@dataclass(frozen=True)
class LoadingCell:
    """What to measure.

    Attributes:
        disk: the one that the files lie on, or a simulated one.
        cold: the page cache is emptied first; on a simulated disk nothing is ever cached. Otherwise every file has just
            been read, and no disk is asked.
        batch_size, seconds: batches of so many. A warm pass reads as many pictures as one process reads in that time; a
            cold one every picture once, or on a simulated disk as many as it gives in that time (of a pack all).
        next_epoch: afterwards time the first batch of another epoch by the same loader.
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
    next_epoch: bool = False


@dataclass(frozen=True)
class LoadResult:
    """What came out: all pictures asked for were delivered.

    Attributes:
        images, seconds: so many in so much time, from asking for the first batch on.
        steady: pictures a second once each worker has delivered what it reads ahead; None for a pass too short to tell,
            and where the first batches read for all others.
        first_seconds: until the first batch was there, the start of workers included.
        next_first_seconds: until the first batch of a further epoch was there, by the same loader; 0 if not asked for.
        cpu_seconds: of this process and the workers, their start included.
        work: what a simulated disk did meanwhile.
    """

    images: int
    seconds: float
    steady: float | None
    first_seconds: float
    next_first_seconds: float
    cpu_seconds: float
    work: Work | None

    @property
    def images_per_second(self) -> float:
        """Pictures a second: steadily, else over the whole pass."""
        return self.images / self.seconds if self.steady is None else self.steady


def store(pictures: Sequence[Path], root: Path, side: int) -> Stored:
    """Copy `pictures` to `root` as a folder, a database and a pack."""
    stored = Stored(root, side, len(pictures))
    folder = root / "pictures" / "all"
    folder.mkdir(parents=True)
    for file in pictures:
        shutil.copyfile(file, folder / file.name)
    write_lmdb(root / "lmdb", ((file.stem.encode(), file.read_bytes()) for file in pictures))
    write_pack(folder, pack_of(folder, side), side, workers=0, skip_damaged=False)
    return stored


def load(stored: Stored, cell: LoadingCell) -> LoadResult:
    """Measure one cell.

    Raises:
        StillCachedError: the page cache can't be emptied there.
    """
    files = stored.files(cell.form)
    simulated = cell.disk if isinstance(cell.disk, SimulatedDisk) and cell.cold else None
    source = _Source(stored, cell)  # a pack's pixels are checked, and so read, when they are first asked for
    order = _order(stored, cell, source)
    if cell.cold and simulated is None:
        drop(files)
    else:
        for file in files:
            file.read_bytes()
    if cell.device.type == "cuda":  # the CUDA context is made now, and not within the first batch's time
        torch.zeros(1, device=cell.device)
        torch.cuda.synchronize(cell.device)
    before, cpu = simulated.work if simulated else None, _cpu_seconds()
    next_first = 0.0
    marks: list[tuple[float, int]] = []
    with source.opened(cell.disk if cell.cold else OwnDisk()) as epoch:
        asked = epoch(order)
        images, started = 0, time.perf_counter()
        for count in asked:
            images += count
            marks.append((time.perf_counter() - started, images))
        if cell.device.type == "cuda":
            torch.cuda.synchronize(cell.device)
        seconds = time.perf_counter() - started
        if cell.next_epoch:
            asked, again = epoch(order[: cell.batch_size]), time.perf_counter()
            next(asked)
            next_first = time.perf_counter() - again
            del asked
    work = _difference(before, simulated.work) if simulated and before else None
    at_once = cell.cold and cell.form == PACKED
    steady = None if at_once else _steady(marks, 1 + cell.workers * cell.prefetch)
    return LoadResult(images, seconds, steady, marks[0][0], next_first, _cpu_seconds() - cpu, work)


def _steady(marks: Sequence[tuple[float, int]], ahead: int) -> float | None:
    """The rate after the first `ahead` batches, of which some were read before the first was there."""
    if len(marks) < 2 * ahead:
        return None
    (since, before), (until, images) = marks[ahead - 1], marks[-1]
    return (images - before) / (until - since) if until > since else None


def _order(stored: Stored, cell: LoadingCell, source: _Source) -> Tensor:
    """Which pictures a pass reads: a warm one goes on, shuffled anew after each epoch."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(stored.samples, generator=generator)
    if not cell.cold:
        started = time.perf_counter()
        tried = source.read_here(order[: _MIN_BATCHES * cell.batch_size])
        wanted = int(tried * cell.seconds / (time.perf_counter() - started))
        wanted = max(wanted, cell.batch_size * 2 * (1 + cell.workers * cell.prefetch))
        passes = -(-wanted // stored.samples)
        return torch.cat([torch.randperm(stored.samples, generator=generator) for _ in range(passes)])[:wanted]
    if isinstance(cell.disk, SimulatedDisk) and cell.form != PACKED:
        disk = cell.disk.profile
        each = disk.seek + stored.bytes_per_picture(cell.form) / disk.bandwidth
        least = cell.batch_size * max(_MIN_BATCHES, cell.workers)  # each worker has one batch at least
        return order[: max(least, int(cell.seconds / each))]
    return order


class _Source:
    """A format's pictures, and how they are read in batches; gives the batches' sizes, once each can be used."""

    def __init__(self, stored: Stored, cell: LoadingCell) -> None:
        self.stored, self.cell = stored, cell
        self.warm = None if cell.cold or cell.form == DOCUMENTED else stored.open(cell.form, OwnDisk())
        if self.warm is not None and cell.form == PACKED:
            self.read_here(torch.arange(stored.samples))

    def read_here(self, order: Tensor) -> int:
        """Read some in this process; how many."""
        if self.warm is not None:
            return sum(
                len(batch.data) for batch in batches(self.warm, order, self.cell.batch_size, drop_last=False, seed=0)
            )
        pictures = self.stored.open_as_documented(OwnDisk())
        return len([pictures[index] for index in order.tolist()])

    @contextlib.contextmanager
    def opened(self, disk: Disk) -> Iterator[Callable[[Tensor], Iterator[int]]]:
        """From an order to batches, again and again by one loader."""
        cell = self.cell
        if cell.form == DOCUMENTED:
            pictures = self.stored.open_as_documented(disk)
            yield lambda order: _as_documented(pictures, order.tolist(), cell)
            return
        dataset = self.warm or self.stored.open(cell.form, disk)
        on_cpu = cell.device.type == "cpu"
        with Loader(
            dataset,
            workers=cell.workers,
            prefetch=cell.prefetch,
            persistent=cell.persistent,
            pin_memory=cell.pin_memory and not on_cpu,
            scale=on_cpu,
        ) as loader:
            delivery = DeviceTransfer(dataset, cell.device)

            def epoch(order: Tensor) -> Iterator[int]:
                read = loader.stored(chunks_of(order, cell.batch_size, drop_last=False))
                return (len(batch.data) for batch in delivery.batches(read))

            yield epoch


def _as_documented(pictures: datasets.ImageFolder, order: list[int], cell: LoadingCell) -> Iterator[int]:
    """The document's loader, with an order given, so that all formats read the same."""
    with warnings.catch_warnings():
        # More workers than cores are slow, not wrong.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader: DataLoader[Any] = DataLoader(
            pictures,
            batch_size=cell.batch_size,
            sampler=order,
            num_workers=cell.workers,
            generator=torch.Generator(),
        )
        items = iter(loader)
    for data, _ in items:
        yield len(data.to(cell.device))


def _cpu_seconds() -> float:
    """Of this process and of all children that have ended."""
    if sys.platform == "win32":
        return time.process_time()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _difference(before: Work, after: Work) -> Work:
    return Work(
        after.seeking - before.seeking,
        after.moving - before.moving,
        after.seeks - before.seeks,
        after.bytes - before.bytes,
    )
