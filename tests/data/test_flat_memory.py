"""Training from a pack that fits into no memory here: what is resident stays, whichever window is being read.

The pack is a sparse file: a header, checksums, and between them zeros that take no place on the disk. Each process sets
itself a limit to its address space, above what it has after importing, and the pack is ten times as large.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch import Tensor

import tests.toys
from harness.cli.__main__ import main
from harness.data import open_dataset
from harness.data.image_folder import FOLDER
from harness.data.images import Framing
from harness.data.order import BLOCK, decided_window
from harness.data.packed import NO_DIGEST, Pack, digest_of, header_bytes
from harness.data.packing import fingerprint_of, pack_of
from harness.training import RunConfig, train
from reference import Batch, Card, Noise, Players, register
from tests.processes import _context

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits to the address space, and files with holes")

SHAPE = (3, 128, 128)
SAMPLE = 3 * 128 * 128
MIB = 2**20
ROOM = 512 * MIB  # what a process may take beyond what it has after importing
BATCH, WINDOW, STEPS = 32, 512, 256  # sixteen windows


@dataclass(frozen=True)
class Flat(tests.toys.Toy):
    """The toy on CelebA's pictures: it sees of each its mean in two colours."""

    card: ClassVar[Card] = dataclasses.replace(
        tests.toys.CARD, name="toy-flat", dataset="celeba", data_shape=SHAPE, data_range=(-1.0, 1.0), batch_size=BATCH
    )

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        return super().step(players, Batch(batch.data.mean((2, 3))[:, :2]), noise)


@dataclass(frozen=True)
class Huge:
    """A data root that holds one picture, and a pack of zeros that says it was made of it."""

    root: Path
    pack: Path
    samples: int


@dataclass(frozen=True)
class Ended:
    """What a limited process left: its exit code, and what it said on either stream."""

    code: int | None
    said: str
    complained: str


def limited(folder: Path, work: Callable[..., None], *given: Any, room: int = ROOM) -> Ended:
    """Run `work` in a process of its own, which may take `room` bytes more than it has when it begins."""
    shown = folder / "said", folder / "complained"
    process = _context().Process(target=_limited, args=(shown, room, work, given))
    process.start()
    process.join(120)
    process.kill()
    return Ended(process.exitcode, *(path.read_text() for path in shown))


def _limited(shown: tuple[Path, Path], room: int, work: Callable[..., None], given: tuple[Any, ...]) -> None:
    import resource

    for number, path in enumerate(shown, 1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    register(Flat)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + room,) * 2)
    work(*given)


def _say_the_limit() -> None:
    import resource

    print(resource.getrlimit(resource.RLIMIT_AS)[0])


def _train(root: Path, out: Path, workers: int) -> None:
    import resource

    resident: list[int] = []
    own = psutil.Process()
    config = RunConfig(
        "toy-flat",
        0,
        BATCH,
        steps=STEPS,
        data_root=str(root),
        workers=workers,
        shuffle_window=WINDOW,
        sample_every=0,
        checkpoint_every=0,
        tensorboard=False,
        pictures=False,
        threads=1,
    )
    run = train(config, out, on_step=lambda *_: resident.append(own.memory_info().rss))
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    print(json.dumps({"resident": resident, "limit": limit, "steps": run.steps}))


def _call(root: Path, *arguments: str) -> None:
    sys.argv = ["gan-harness", *arguments, "--data-root", str(root)]
    main()


def _read_as_evaluating_does(root: Path) -> None:
    print(open_dataset(Flat.card, root)[torch.arange(0, 1000, 100)].data.unique().tolist())


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Huge]:
    root = tmp_path_factory.mktemp("huge")
    source = root / FOLDER
    source.mkdir(parents=True)
    Image.new("RGB", (178, 218)).save(source / "000000.png")
    limit = int(limited(root, _say_the_limit).said)
    blocks = -(-(10 * limit + 2**30) // (BLOCK * SAMPLE))  # a gibibyte for processes that begin somewhat larger
    sums = np.full(blocks, zlib.crc32(bytes(BLOCK * SAMPLE)), np.uint32)
    path = pack_of(source, SHAPE[-1])
    pack = Pack(
        path,
        SHAPE,
        blocks * BLOCK,
        Framing(SHAPE).described(),
        str(source.resolve()),
        "",
        fingerprint_of(source),
        (),
        0,
        sums,
    )
    blank = header_bytes(pack, NO_DIGEST)
    with path.open("wb") as stream:
        stream.write(header_bytes(pack, digest_of(blank, sums)))
        stream.truncate(len(blank) + pack.samples * SAMPLE)
        if path.stat().st_blocks * 512 > 100 * MIB:
            pytest.skip(f"{path.parent} has no files with holes")
        stream.seek(0, os.SEEK_END)
        stream.write(sums.astype("<u4").tobytes())
    yield Huge(root, path, pack.samples)
    path.unlink()  # who copies it copies all its zeros


@pytest.mark.parametrize("workers", [0, 2])
def test_training_from_a_pack_ten_times_the_limit_keeps_its_memory(workers: int, huge: Huge, tmp_path: Path) -> None:
    ended = limited(tmp_path, _train, huge.root, tmp_path / "run", workers)
    assert ended.code == 0, ended.complained
    assert f"reading the pack {huge.pack}" in (tmp_path / "run" / "log.txt").read_text()
    found = json.loads(ended.said.splitlines()[-1])
    resident = found["resident"]
    assert len(resident) == found["steps"] == STEPS
    assert huge.pack.stat().st_size >= 10 * found["limit"]
    # Resident is far less than the address space, of which importing takes gigabytes: the room is what counts.
    assert max(resident) - resident[0] < 2 * WINDOW * SAMPLE + 48 * MIB < ROOM
    after_four_windows = resident[4 * WINDOW // BATCH :]
    assert max(after_four_windows) - after_four_windows[0] < 8 * MIB


def test_mapping_more_than_may_be_mapped_ends_in_one_line(huge: Huge, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    ended = limited(
        tmp_path, _call, huge.root, "train", "toy-flat", "--steps", "3", "--shuffle-window", "0", "--out", out
    )
    assert ended.code == 2, ended.complained
    (line,) = ended.complained.strip().splitlines()
    assert "can't be mapped" in line
    assert "--shuffle-window N reads it in blocks" in line


def test_a_run_that_can_not_map_its_pack_writes_nothing(huge: Huge, tmp_path: Path) -> None:
    out = tmp_path / "run"
    limited(tmp_path, _call, huge.root, "train", "toy-flat", "--steps", "3", "--shuffle-window", "0", "--out", str(out))
    assert not out.exists()


@pytest.mark.parametrize("asked", [["--shuffle-window", "20000"], []], ids=["asked for", "decided"])
def test_windows_that_do_not_fit_end_in_one_line(asked: list[str], huge: Huge, tmp_path: Path) -> None:
    """Two windows of 21 blocks, which are decided, have 504 MiB; of 20,000 pictures 1.9 GiB."""
    ended = limited(
        tmp_path, _call, huge.root, "train", "toy-flat", "--steps", "3", *asked, "--out", str(tmp_path / "run")
    )
    assert ended.code == 2, ended.complained
    assert len(ended.complained.strip().splitlines()) == 1


@pytest.mark.parametrize("memory", [256 * MIB, 512 * MIB, 768 * MIB])
def test_the_windows_decided_for_little_memory_fit_into_half_of_it(memory: int) -> None:
    assert 2 * decided_window(10**9, SHAPE, memory) * SAMPLE <= memory / 2


@pytest.mark.parametrize("room", [ROOM, 2**50], ids=["limited", "this machine's memory"])
def test_a_huge_pack_can_be_read_where_nothing_is_trained(room: int, huge: Huge, tmp_path: Path) -> None:
    if huge.pack.stat().st_size < psutil.virtual_memory().total + psutil.swap_memory().total:
        pytest.skip("this machine could hold the pack")
    ended = limited(tmp_path, _read_as_evaluating_does, huge.root, room=room)
    assert (ended.code, ended.said) == (0, "[-1.0]\n"), ended.complained
