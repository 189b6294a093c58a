from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.data import Loader, batches, batches_per_epoch
from harness.data.loader import chunks_of, translate_worker_death
from reference import Batch
from tests.data.samples import call_with_mounts, why_no_mounts, write_pictures
from tests.processes import in_a_process_of_its_own


class Numbers:
    """0, 1, 2, …; complains about one of them."""

    title, real, complete, fingerprint, in_memory = "numbers", True, True, "n", True

    def __init__(self, n: int, broken: int = -1) -> None:
        self.n, self.broken = n, broken

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, indices: Tensor) -> Batch:
        if (indices == self.broken).any():
            raise ValueError(f"number {self.broken} can't be read")
        return Batch(indices.float())


@given(st.integers(1, 50), st.integers(1, 60), st.booleans(), st.integers(0, 5))
def test_batches_follow_the_order(n: int, size: int, drop_last: bool, skip: int) -> None:
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    got = [b.data.long().tolist() for b in batches(Numbers(n), order, size, drop_last=drop_last, seed=0, skip=skip)]
    expected = [order[i : i + size].tolist() for i in range(0, n, size)]
    if drop_last and len(expected[-1]) < size:
        expected.pop()
    assert got == expected[skip:]
    assert batches_per_epoch(n, size, drop_last=drop_last) == len(expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing_and_global_random_state_stays(workers: int) -> None:
    order = torch.randperm(23, generator=torch.Generator().manual_seed(0))
    before = torch.random.get_rng_state()
    got = torch.cat([b.data for b in batches(Numbers(23), order, 4, drop_last=False, seed=0, workers=workers)])
    assert torch.equal(got.long(), order)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_complaints_arrive_as_they_were_made(workers: int) -> None:
    with pytest.raises(ValueError, match=r"^number 7 can't be read$"):
        list(batches(Numbers(10, broken=7), torch.arange(10), 3, drop_last=False, seed=0, workers=workers))


class Pixels(Numbers):
    """Numbers as uint8 pixels that are scaled where they are used; in threads or in processes."""

    value_range = (0.0, 1.0)

    def __init__(self, n: int, broken: int = -1, *, threads: bool = False) -> None:
        super().__init__(n, broken)
        self.threads = threads

    def pixels(self, indices: Tensor) -> Batch:
        return Batch(self[indices].data.byte()[:, None])


class Moody(Numbers):
    """Does something at one number: ends its process, or fails as no data set should."""

    def __init__(self, n: int, at: int, act: Callable[[], None]) -> None:
        super().__init__(n)
        self.at, self.act = at, act

    def __getitem__(self, indices: Tensor) -> Batch:
        if (indices == self.at).any():
            self.act()
        return super().__getitem__(indices)


def end_at_once() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def boom() -> None:
    raise RuntimeError("boom, a worker's mistake of its own")


def orders(n: int, epochs: int) -> list[list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [list(chunks_of(torch.randperm(n, generator=generator), 3, drop_last=False)) for _ in range(epochs)]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """A complaint's traceback keeps a loader's workers alive: they end with this test, and not in the next."""
    yield
    gc.collect()


WAYS = [
    (workers, persistent, prefetch, threads)
    for workers, prefetch in ((0, 2), (1, 1), (1, 8), (2, 1), (2, 2), (4, 3))
    for persistent in (True, False)
    for threads in (True, False)
    if workers or (persistent and not threads)
]


@pytest.mark.parametrize(("workers", "persistent", "prefetch", "threads"), WAYS)
def test_every_way_of_reading_gives_the_same_epochs(
    workers: int, persistent: bool, prefetch: int, threads: bool
) -> None:
    data = Pixels(20, threads=threads)
    with Loader(data, workers=workers, persistent=persistent, prefetch=prefetch) as loader:
        for number, chunks in enumerate(orders(20, 3)):
            got = [batch.data for batch in loader.stored(chunks, skip=number)]
            assert [one.dtype for one in got] == [torch.uint8] * (7 - number)
            assert [one[:, 0].long().tolist() for one in got] == [chunk.tolist() for chunk in chunks[number:]]


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("taken", [0, 1, 3])
def test_an_epoch_left_halfway_leaves_nothing_for_the_next(threads: bool, persistent: bool, taken: int) -> None:
    first, second = orders(20, 2)
    with Loader(Pixels(20, threads=threads), workers=2, persistent=persistent) as loader:
        for _ in range(2):
            left = loader.stored(first)
            for chunk in first[:taken]:
                assert next(left).data[:, 0].tolist() == chunk.tolist()
            got = [batch.data[:, 0].tolist() for batch in loader.stored(second)]
            assert got == [chunk.tolist() for chunk in second]


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(("workers", "threads"), [(0, False), (2, False), (2, True)])
def test_after_a_complaint_the_loader_can_be_used_again(workers: int, threads: bool) -> None:
    with Loader(Pixels(12, broken=7, threads=threads), workers=workers) as loader:
        chunks = list(chunks_of(torch.arange(12), 3, drop_last=False))
        for _ in range(2):
            got = []
            with pytest.raises(ValueError, match=r"^number 7 can't be read$"):
                got += [batch.data[0, 0].item() for batch in loader.stored(chunks)]
        assert [batch.data[0, 0].item() for batch in loader.stored(chunks[:2])] == [0, 3]


@pytest.mark.usefixtures("forgotten")
def test_no_worker_is_left_when_a_loader_is_closed_after_a_complaint() -> None:
    with Loader(Numbers(12, broken=7), workers=2) as loader, pytest.raises(ValueError, match="number 7"):
        list(loader.stored(chunks_of(torch.arange(12), 3, drop_last=False)))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("threads", [True, False])
def test_what_is_read_ahead_is_no_more_than_was_asked_for(threads: bool, tmp_path: Path) -> None:
    class Noting(Pixels):
        def pixels(self, indices: Tensor) -> Batch:
            (tmp_path / str(int(indices[0]))).touch()
            return super().pixels(indices)

    chunks = list(chunks_of(torch.arange(60), 1, drop_last=False))
    with Loader(Noting(60, threads=threads), workers=2, prefetch=3) as loader:
        read = loader.stored(chunks)
        next(read)
        next(read)
        assert 2 <= len(list(tmp_path.iterdir())) <= 2 + 2 * 3
        assert [batch.data.item() for batch in read] == list(range(2, 60))


@pytest.mark.parametrize(("workers", "threads"), [(0, False), (2, False), (2, True)])
def test_no_random_state_of_this_process_moves(workers: int, threads: bool) -> None:
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    with Loader(Pixels(20, threads=threads), workers=workers) as loader:
        for chunks in orders(20, 2):
            assert len(list(loader.stored(chunks))) == 7
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # type: ignore[index]  # noqa: NPY002


def test_no_worker_is_left_when_a_loader_is_closed() -> None:
    with Loader(Numbers(20), workers=2) as loader:
        assert len(list(loader.stored(orders(20, 1)[0]))) == 7
        assert len(multiprocessing.active_children()) >= 2
    assert not multiprocessing.active_children()
    with Loader(Pixels(20, threads=True), workers=2) as loader:
        assert len(list(loader.stored(orders(20, 1)[0]))) == 7
        assert any(thread.name.startswith("loader") for thread in threading.enumerate())
    assert not any(thread.name.startswith("loader") for thread in threading.enumerate())


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("persistent", [True, False])
@in_a_process_of_its_own
def test_a_worker_that_is_killed_while_it_reads_is_said_in_one_line(persistent: bool) -> None:
    with (
        Loader(Moody(20, 7, end_at_once), workers=2, persistent=persistent) as loader,
        pytest.raises(ValueError, match=r"a loader process ended: .* in shared memory .* with --workers 0$") as caught,
    ):
        list(loader.stored(orders(20, 1)[0]))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("forgotten")
@in_a_process_of_its_own
def test_a_worker_that_is_killed_between_epochs_is_said_in_one_line() -> None:
    def two_epochs() -> None:
        # PyTorch notices at the next epoch's beginning, or says so wherever this process is.
        with translate_worker_death(), Loader(Numbers(20), workers=2) as loader:
            list(loader.stored(orders(20, 1)[0]))
            worker = multiprocessing.active_children()[0]
            worker.kill()
            worker.join()
            list(loader.stored(orders(20, 1)[0]))

    with pytest.raises(ValueError, match=r"a loader process ended: .* --workers 0"):
        two_epochs()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_sets_own_runtime_error_is_not_taken_for_a_workers_end(workers: int) -> None:
    with (
        Loader(Moody(20, 7, boom), workers=workers) as loader,
        pytest.raises(RuntimeError, match="boom, a worker's mistake of its own"),
    ):
        list(loader.stored(orders(20, 1)[0]))


@pytest.mark.usefixtures("forgotten")
@in_a_process_of_its_own
def test_a_worker_that_is_killed_while_a_batch_is_used_is_said_in_one_line() -> None:
    def use(_: Batch) -> None:
        multiprocessing.active_children()[0].kill()
        time.sleep(1)

    with (
        Loader(Numbers(20), workers=2) as loader,
        pytest.raises(ValueError, match="a loader process ended"),
        translate_worker_death(),  # PyTorch says so wherever this process happens to be
    ):
        list(map(use, loader.stored(orders(20, 1)[0])))


def train_with_shared_memory(size: str, spec: str, pictures: Path, folder: Path) -> tuple[int | None, str]:
    """Train a step on 128 pictures, with a worker and so much of it; the exit code and what was said."""
    if why_no_mounts():
        pytest.skip(why_no_mounts())
    write_pictures(folder / "root" / pictures, 128, 8, 8)
    arguments: list[str | Path] = [
        "train",
        spec,
        "--data-root",
        folder / "root",
        "--steps",
        "1",
        "--batch-size",
        "128",
        "--workers",
        "1",
        "--out",
        folder / "run",
        "--no-tensorboard",
        "--no-pictures",
        "--threads",
        "1",
    ]
    mount = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", "/dev/shm"]
    code, told, _ = call_with_mounts([mount], arguments, folder / "told", folder)
    return code, told


def test_too_little_shared_memory_is_said_in_one_line(tmp_path: Path) -> None:
    faces = Path("celeba", "img_align_celeba")
    code, told = train_with_shared_memory("1m", "pytorch-dcgan-celeba", faces, tmp_path)  # a batch takes 1.5 MiB
    assert code == 2, told
    assert "shared memory" in told
    assert "--workers 0" in told
    assert len(told.strip().splitlines()) == 1


def test_shared_memory_that_suffices_is_no_difficulty(tmp_path: Path) -> None:
    """The saboteur of the test before: the same with 64 MiB."""
    small = "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=3"
    code, told = train_with_shared_memory("64m", small, Path("celeba_hq"), tmp_path)
    assert code == 0, told


class TellsWhatItWouldCollect(Numbers):
    """Its samples are how many objects a collection of garbage would look through in this process."""

    def __getitem__(self, indices: Tensor) -> Batch:
        return Batch(torch.tensor([[float(gc.get_freeze_count()), float(len(gc.get_objects()))]] * len(indices)))


def test_a_worker_never_collects_what_it_inherited() -> None:
    """A CUDA tensor's end in a forked process asks for CUDA, which the fork lacks: the process would abort."""
    inherited = [object() for _ in range(10)]
    with Loader(TellsWhatItWouldCollect(9), workers=1) as loader:
        (batch,) = loader.stored([torch.arange(2)])
    frozen, watched = batch.data[0].tolist()
    assert frozen > 1000
    assert watched < len(gc.get_objects())
    assert inherited
