"""Batches in a given order, read in this process, in workers or in threads: always the same ones."""

from __future__ import annotations

import contextlib
import gc
import shutil
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, get_worker_info

from harness.data.dataset import Augmented, BufferPool, Dataset, PrefetchHint, Uint8Dataset, scaled
from harness.records.options import PREFETCH
from reference import Batch

_Place = tuple[int, Tensor]


class Loader:
    """Reads batches of one data set, epoch after epoch.

    Args:
        workers: how many read ahead while a batch is used; 0 reads in this process, when a batch is asked for. They are
            processes, or threads where the data set says that those suffice.
        prefetch: batches that each of them reads ahead.
        persistent: keep the processes from epoch to epoch.
        pin_memory: give batches in page-locked memory, from which a GPU copies while it computes.
        scale: scale pixels where they are read, if that is in threads. Between processes they are better sent as they
            are stored, and for a GPU scaled there.

    Raises:
        ValueError: what the data set says of a sample that it can't read; a worker that ended.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        workers: int = 0,
        prefetch: int = PREFETCH,
        persistent: bool = True,
        pin_memory: bool = False,
        scale: bool = False,
    ) -> None:
        self.dataset = dataset
        self._fetch = _Fetch(dataset)
        self._range = range_to_scale_to(dataset) if scale else None
        self._memory = BufferPool()
        self._pin = pin_memory
        self._ahead = workers * prefetch
        self._threads: ThreadPoolExecutor | None = None
        self._processes: DataLoader[Any] | None = None
        self._places = _Places()
        if workers and getattr(dataset, "threads", False):
            self._threads = ThreadPoolExecutor(workers, "loader")
        else:
            self._processes = self._of_processes(workers, prefetch, persistent)

    def _of_processes(self, workers: int, prefetch: int, persistent: bool) -> DataLoader[Any]:
        with _many_workers_are_no_matter():
            return DataLoader(
                self._fetch,
                sampler=self._places,  # each element is the index of one batch
                batch_size=None,
                collate_fn=_as_is,
                num_workers=workers,
                prefetch_factor=prefetch if workers else None,
                persistent_workers=persistent and workers > 0,
                multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
                pin_memory=self._pin,
                worker_init_fn=_keep_what_is_inherited if workers else None,
                # Without a generator of its own, the loader draws its workers' seed from the global random state.
                generator=torch.Generator(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        if self._processes is not None:
            _end(self._processes._iterator)
        self._processes = None

    def stored(self, chunks: Iterable[Tensor], seed: int = 0, skip: int = 0) -> Iterator[Batch]:
        """One batch for each of `chunks` (its samples' indices) but the first `skip`, pixels mostly as they are stored.

        Random changes follow from `seed` and the batch's number, and PyTorch's global random state is left alone, so
        that workers change nothing but speed.
        """
        places: Iterable[_Place] = ((seed + number, chunk) for number, chunk in enumerate(chunks) if number >= skip)
        if isinstance(self.dataset, PrefetchHint):
            places = list(places)
            self.dataset.expect(torch.cat([torch.empty(0, dtype=torch.int64), *(chunk for _, chunk in places)]))
        read = self._in_threads(places) if self._threads is not None else self._in_processes(places)
        for item in read:
            if isinstance(item, ValueError):
                try:
                    raise item
                finally:
                    del item  # it holds this frame, which holds the workers
            yield item

    def _in_threads(self, places: Iterable[_Place]) -> Iterator[Batch | ValueError]:
        assert self._threads is not None
        waiting: deque[Future[Batch | ValueError]] = deque()
        try:
            for place in places:
                waiting.append(self._threads.submit(self._in_thread, place))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _in_thread(self, place: _Place) -> Batch | ValueError:
        item = self._fetch[place]
        if isinstance(item, Batch):
            item = item if self._range is None else scaled(item, self._range, self._memory)
            return item.pin_memory() if self._pin else item
        return item

    def _in_processes(self, places: Iterable[_Place]) -> Iterator[Batch | ValueError]:
        assert self._processes is not None
        self._places.now = places
        with translate_worker_death():
            with _many_workers_are_no_matter():
                items = iter(self._processes)
            try:
                yield from items
            except RuntimeError:
                _end(items)
                raise


def batches_per_epoch(samples: int, batch_size: int, *, drop_last: bool) -> int:
    """How many batches `chunks_of` makes of all samples."""
    whole, rest = divmod(samples, batch_size)
    return whole if drop_last or not rest else whole + 1


def chunks_of(order: Tensor, batch_size: int, *, drop_last: bool) -> Iterator[Tensor]:
    """`order` (n,) cut into batches; the last, smaller one is left out with `drop_last`."""
    for number in range(batches_per_epoch(len(order), batch_size, drop_last=drop_last)):
        yield order[number * batch_size : (number + 1) * batch_size]


def batches(
    dataset: Dataset, order: Tensor, batch_size: int, *, drop_last: bool, seed: int, skip: int = 0, workers: int = 0
) -> Iterator[Batch]:
    """The samples of `dataset` in `order` (n,), in batches on the CPU, without the first `skip` batches.

    Raises:
        ValueError: as `Loader`.
    """
    value_range, memory = range_to_scale_to(dataset), BufferPool()
    with Loader(dataset, workers=workers, persistent=False, scale=True) as loader:
        for batch in loader.stored(chunks_of(order, batch_size, drop_last=drop_last), seed, skip):
            yield finished(batch, value_range, memory)


def finished(batch: Batch, value_range: tuple[float, float] | None, memory: BufferPool) -> Batch:
    """A batch with its pixels scaled, if they aren't yet."""
    return batch if value_range is None or batch.data.dtype != torch.uint8 else scaled(batch, value_range, memory)


def range_to_scale_to(dataset: Dataset) -> tuple[float, float] | None:
    """Where the pixels of a loader's batches are still to be scaled to; None where batches are ready as they come."""
    if isinstance(dataset, Uint8Dataset) and not isinstance(dataset, Augmented):
        return dataset.value_range
    return None


def _keep_what_is_inherited(_: int) -> None:
    """In a forked worker: never collect what the parent had. Its tensors' ends may ask for CUDA, which a fork lacks."""
    gc.freeze()


class _Places(Sampler[_Place]):
    """What PyTorch's loader shall read next: set anew for each epoch, so that its workers can live on."""

    def __init__(self) -> None:
        self.now: Iterable[_Place] = ()

    def __iter__(self) -> Iterator[_Place]:
        return iter(self.now)


class _Fetch(torch.utils.data.Dataset[Batch | ValueError]):
    """Hands a data set's complaint over as a value: PyTorch would wrap it in a worker's traceback."""

    def __init__(self, dataset: Dataset) -> None:
        self.draw = dataset.draw if isinstance(dataset, Augmented) else None
        self.read = dataset.pixels if isinstance(dataset, Uint8Dataset) else dataset.__getitem__

    def __getitem__(self, place: _Place) -> Batch | ValueError:
        seed, indices = place
        try:
            batch = self.draw(indices, seed) if self.draw is not None else self.read(indices)
            return batch if get_worker_info() is None else _shared(batch)
        except ValueError as error:
            return error


def _end(items: object) -> None:
    """End an iterator's workers now: while PyTorch knows of a dead one, it may complain wherever this process is."""
    shut_down = getattr(items, "_shutdown_workers", None)
    if shut_down is not None:
        with contextlib.suppress(RuntimeError):
            shut_down()


@contextlib.contextmanager
def _many_workers_are_no_matter() -> Iterator[None]:
    """More workers than cores are slow, not wrong."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        yield


def _as_is(item: Any) -> Any:
    return item


@contextlib.contextmanager
def translate_worker_death() -> Iterator[None]:
    """Say in one line that a loader's process ended, which PyTorch may notice at any moment while there are such."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        first = str(error).split("\n")[0]
        raise ValueError(f"a loader process ended: {first}; {_about_shared_memory()}") from error


def _shared(batch: Batch) -> Batch:
    """A worker's batch where the other process finds it, put there now: later PyTorch would lose it without a word."""
    try:
        for tensor in (batch.data, batch.labels, batch.condition):
            if tensor is not None:
                tensor.share_memory_()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError) as error:
        first = str(error).split("\n")[0]
        raise ValueError(f"a loader process can't hand over its batch: {first}; {_about_shared_memory()}") from error
    return batch


def _about_shared_memory() -> str:
    free = ""
    with contextlib.suppress(OSError):
        free = f" ({shutil.disk_usage('/dev/shm').free / 2**20:,.0f} MiB are free in /dev/shm)"
    return (
        f"processes hand over their batches in shared memory{free}: give it more, ask for fewer --workers or smaller "
        "batches, or read in this process with --workers 0"
    )
