"""How fast pictures come from a pack, beside the documents' loader and beside a plain read of the file, in one run.

    tox run -e benchmarks

All from the page cache, on 1024 drawn faces at 64×64, in batches of 128 and in a new order each round. For each number
of workers three rows: the documents' `ImageFolder` in PyTorch's `DataLoader`, its workers started for each epoch as the
documents do; float batches from a pack; and the pack's uint8 batches, which are what goes to a GPU. The last row reads
the file from beginning to end into memory that is there already. Rounds are interleaved, so that a change of the
machine's speed meets all of them. The ratios are the medians over the rounds; nothing is asserted about time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter as clock
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from harness.data.device_transfer import DeviceTransfer
from harness.data.image_folder import FOLDER
from harness.data.images import picture_files
from harness.data.loader import Loader, chunks_of
from harness.data.storage import OwnDisk
from harness.data.synthetic import drawn_faces
from harness.loading.measure import PACKED, Stored, store
from harness.records.environment import environment

SIDE, BATCH, ROUNDS = 64, 128, 7
OFTEN = 20  # times that a pack is read in a round, so that there is something to measure
WORKERS = (0, 2, 4)
CPU = torch.device("cpu")
Way = tuple[str, int]  # what is read, and by how many workers
DOCUMENTED, FLOATS, PIXELS, FILE = "as documented", "packed, float", "packed, uint8", "the file, read in order"


def as_documented(stored: Stored, workers: int, order: Tensor) -> Iterator[Tensor]:
    pictures = stored.open_as_documented(OwnDisk())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader: DataLoader[Any] = DataLoader(pictures, BATCH, sampler=order.tolist(), num_workers=workers)
        for data, _ in loader:
            yield data


def from_pack(loader: Loader, floats: bool, order: Tensor) -> Iterator[Tensor]:
    read = loader.stored(chunks_of(order, BATCH, drop_last=False))
    for batch in DeviceTransfer(loader.dataset, CPU).batches(read) if floats else read:
        yield batch.data


def whole_file(path: Path, memory: Tensor) -> Iterator[Tensor]:
    for _ in range(OFTEN):
        with path.open("rb", buffering=0) as stream:
            assert stream.readinto(memory.numpy().data) == len(memory)
        yield memory


def rate_of(read: Callable[[], Iterator[Tensor]]) -> float:
    """Bytes a second from asking for the first batch to having the last."""
    started, size = clock(), 0
    for data in read():
        size += data.numel() * data.element_size()
    return size / (clock() - started)


def test_a_pack_beside_the_documents_loader_and_a_plain_read(
    tmp_path: Path, benchmark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The benchmark's own row is one round of everything; the ratios stand in its extra info."""
    faces = drawn_faces()
    stored = store(picture_files(faces / FOLDER), tmp_path / "stored", SIDE)
    (file,) = stored.files(PACKED)
    memory = torch.empty(file.stat().st_size, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    rates: dict[Way, list[float]] = {}
    with ExitStack() as stack:
        loaders = {w: stack.enter_context(Loader(stored.open(PACKED, OwnDisk()), workers=w)) for w in WORKERS}

        def one_round() -> None:
            order = torch.randperm(stored.samples, generator=generator)
            ways: dict[Way, Callable[[], Iterator[Tensor]]] = {(FILE, 0): partial(whole_file, file, memory)}
            for w in WORKERS:
                ways[DOCUMENTED, w] = partial(as_documented, stored, w, order)
                often = order.repeat(OFTEN)
                ways[FLOATS, w] = partial(from_pack, loaders[w], True, often)
                ways[PIXELS, w] = partial(from_pack, loaders[w], False, often)
            for way, read in ways.items():
                rates.setdefault(way, []).append(rate_of(read))

        order = torch.randperm(stored.samples, generator=generator)
        for workers, loader in loaders.items():
            pairs = zip(as_documented(stored, workers, order), from_pack(loader, True, order), strict=True)
            assert all(torch.equal(one, other) for one, other in pairs), f"other bits with {workers} workers"
        benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=1)
    kept = {way: values[1:] for way, values in rates.items()}

    def over(way: Way, other: Way) -> float:
        return median(a / b for a, b in zip(kept[way], kept[other], strict=True))

    floats = {w: over((FLOATS, w), (DOCUMENTED, w)) for w in WORKERS}
    pixels = {w: over((PIXELS, w), (FILE, 0)) for w in WORKERS}
    benchmark.extra_info |= {"packed_over_documented": floats, "packed_over_plain_read": pixels}
    with capsys.disabled():
        print(f"\n{environment(CPU)['device']}, {stored.samples} faces at {SIDE}×{SIDE}, medians of {ROUNDS} rounds")
        print(f"{'':24} {'workers':>7} {'pictures/s':>11} {'MB/s':>8} {'ratio':>7}")
        for (name, workers), values in sorted(kept.items(), key=lambda entry: (entry[0][0], entry[0][1])):
            size = 3 * SIDE * SIDE * (4 if name in (DOCUMENTED, FLOATS) else 1)
            ratio = {FLOATS: f"{floats[workers]:7.1f}", PIXELS: f"{pixels[workers]:7.2f}"}.get(name, "")
            print(f"{name:24} {workers:7} {median(values) / size:11,.0f} {median(values) / 1e6:8,.0f} {ratio:>7}")
        print("ratios: floats over the documents' loader (at least 60), uint8 over the plain read (at least 0.33)")
    assert all(len(values) == ROUNDS for values in kept.values())
