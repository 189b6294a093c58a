from __future__ import annotations

import atexit
import contextlib
import functools
import math
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from harness.data import batches
from harness.data.dataset import scale_pixels
from harness.data.image_folder import ImageFolder
from harness.data.lsun import Lsun, write_lmdb
from harness.data.order import BLOCK, epoch_order
from harness.data.packed import DamagedPackError, Pack, PackedImages, read_pack
from tests.data.samples import encoded, packed, write_pictures

RANGE = (-1.0, 1.0)
MANY, SIDE = 1900, 4


@functools.cache
def many() -> Pack:
    """Eight blocks, the last one not full."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return packed(write_pictures(folder / "many", MANY, SIDE, SIDE), folder / "many.safetensors", SIDE)


@functools.cache
def everything() -> Tensor:
    """What `many` must hold, drawn anew."""
    order = torch.arange(MANY)
    return ImageFolder(many().path.parent / "many", (3, SIDE, SIDE), RANGE).pixels(order).data


def opened(pack: Pack, window: int = 0) -> PackedImages:
    data = PackedImages(pack, RANGE, "pictures", True)
    if window:
        data.hold(window)
    return data


@pytest.mark.parametrize("side", [64, 17])
def test_a_pack_has_the_bits_of_the_folder_and_of_the_database(side: int, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    contents = {f"{index:03d}": encoded(index, "JPEG", 44 + index, 90 - 2 * index) for index in range(7)}
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content)
    write_lmdb(tmp_path / "lmdb", ((name.encode(), content) for name, content in contents.items()))
    shape, order = (3, side, side), torch.tensor([6, 0, 3, 3, 1])
    expected = ImageFolder(folder, shape, RANGE)
    for source in (folder, tmp_path / "lmdb"):
        pack = packed(source, tmp_path / f"{source.name}.safetensors", side)
        for window in (0, 256):
            data = opened(pack, window)
            assert len(data) == 7
            assert torch.equal(data.pixels(order).data, expected.pixels(order).data)
            assert torch.equal(data[order].data, expected[order].data)
    assert opened(read_pack(tmp_path / "pictures.safetensors")).fingerprint == expected.fingerprint
    database = Lsun(tmp_path / "lmdb", shape, RANGE)
    assert opened(read_pack(tmp_path / "lmdb.safetensors")).fingerprint == database.fingerprint


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, MANY - 1), min_size=1, max_size=40), st.sampled_from([0, 1, 256, 257, 768, 5000]))
def test_any_order_with_repeats_gives_the_same_mapped_and_held(order: list[int], window: int) -> None:
    data = opened(many(), window)
    for asked in (torch.tensor(order), torch.tensor(order[::-1])):
        assert torch.equal(data.pixels(asked).data, everything()[asked])


@pytest.mark.parametrize("window", [0, 1, 256])
def test_several_threads_at_once_read_what_one_does(window: int) -> None:
    """Windows of one block hold three of the eight: the threads push out each other's."""
    data, wrong = opened(many(), window), []
    ready = threading.Barrier(4)

    def read(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        ready.wait()
        for _ in range(40):
            asked = torch.randint(MANY, (16,), generator=generator)
            if not torch.equal(data.pixels(asked).data, everything()[asked]):
                wrong.append(asked)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Counting:
    """A disk that notes what is read of it."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.bytes = 0

    def wait(self, file: Path, offset: int, size: int) -> None:  # noqa: ARG002
        self.offsets.append(offset)
        self.bytes += size


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("skip", [0, 3, 17])
def test_an_epoch_in_windows_reads_each_block_once(workers: int, skip: int) -> None:
    """The saboteur is an order without windows, for which so few blocks in memory are not enough."""
    read = {}
    for window in (512, 0):
        disk = Counting()
        data = PackedImages(many(), RANGE, "pictures", True, disk)
        data.hold(window or 512)
        order = epoch_order(MANY, window, torch.Generator().manual_seed(0))
        for epoch in range(2):
            before = disk.bytes
            got = batches(data, order, 50, drop_last=False, seed=0, skip=skip, workers=workers)
            pixels = torch.cat([batch.data for batch in got])
            assert torch.equal(pixels, scale_pixels(everything()[order[skip * 50 :]], RANGE))
            read[window, epoch] = disk.bytes - before
        assert {(offset - many().offset) % (BLOCK * many().sample_bytes) for offset in disk.offsets} == {0}
    size = MANY * many().sample_bytes
    assert read[512, 0] <= size
    assert read[512, 1] <= size
    assert read[0, 0] > 3 * size


def test_what_is_held_is_two_windows_and_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    empty = np.empty

    def counted(shape: tuple[int, ...], kind: Any) -> Any:
        taken.append(math.prod(shape))
        return empty(shape, kind)

    monkeypatch.setattr(np, "empty", counted)
    for window in (256, 300, 512, 5000):
        opened(many(), window)
    assert taken == [blocks * BLOCK * 3 * SIDE**2 for blocks in (3, 5, 5, 8)]


def test_mapped_blocks_are_read_once_in_one_piece_and_only_if_asked_for() -> None:
    disk = Counting()
    data = PackedImages(many(), RANGE, "pictures", True, disk)
    for _ in range(3):
        data.pixels(torch.tensor([3, BLOCK + 1, 5]))
    size = BLOCK * many().sample_bytes
    assert (disk.offsets, disk.bytes) == ([many().offset, many().offset + size], 2 * size)


def test_other_programs_can_read_it() -> None:
    with safe_open(many().path, "pt") as file:
        assert set(file.keys()) == {"pixels", "checksums"}
        assert torch.equal(file.get_tensor("pixels"), everything())
        assert file.metadata()["kind"] == "gan-harness pack"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Three pictures of side 8."""
    path = tmp_path / "tiny.safetensors"
    packed(write_pictures(tmp_path / "three", 3), path, 8)
    return path


def all_of(path: Path, window: int = 0) -> Tensor:
    pack = read_pack(path)
    return opened(pack, window).pixels(torch.arange(pack.samples)).data


def test_no_byte_can_change_unnoticed(tiny: Path) -> None:
    """Every byte of the file in turn: length, header, padding, pixels, checksum."""
    content = tiny.read_bytes()
    expected = all_of(tiny)
    unnoticed, unnamed = [], []
    file = os.open(tiny, os.O_RDWR)
    for place, value in enumerate(content):
        for flip in {0xFF, 1 << place % 8} if value != 0x20 else {1 << place % 8}:  # most of the header is padding
            os.pwrite(file, bytes([value ^ flip]), place)
            try:
                all_of(tiny, window=256 * (place % 2))
                unnoticed.append((place, flip))
            except ValueError as error:
                if str(tiny) not in str(error):
                    unnamed.append((place, flip, str(error)))
        os.pwrite(file, bytes([value]), place)
    os.close(file)
    assert not unnoticed
    assert not unnamed
    assert torch.equal(all_of(tiny), expected), "undamaged it can be read: nothing else made the errors"


@pytest.mark.parametrize("window", [0, 256])
@pytest.mark.parametrize(("row", "block"), [(0, (0, 255)), (255, (0, 255)), (256, (256, 511)), (1899, (1792, 1899))])
def test_a_damaged_block_is_named_when_it_is_read_and_others_can_be(
    row: int, block: tuple[int, int], window: int, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.safetensors"
    content = bytearray(many().path.read_bytes())
    content[many().offset + row * many().sample_bytes + 7] ^= 1
    path.write_bytes(content)
    data = opened(read_pack(path), window)
    sound = torch.tensor([index for index in (10, 300, 1800) if not block[0] <= index <= block[1]])
    for _ in range(2):
        assert torch.equal(data.pixels(sound).data, everything()[sound])
        message = rf"damaged\.safetensors is damaged: the pixels of samples {block[0]} to {block[1]} "
        with pytest.raises(DamagedPackError, match=message):
            data.pixels(torch.tensor([block[0], block[1]]))


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_arrives_through_a_loader_as_it_was_named(workers: int, tiny: Path) -> None:
    content = bytearray(tiny.read_bytes())
    content[read_pack(tiny).offset] ^= 1
    tiny.write_bytes(content)
    with pytest.raises(DamagedPackError, match=r"^\S+tiny\.safetensors is damaged: the pixels of samples 0 to 2 "):
        list(batches(opened(read_pack(tiny)), torch.arange(3), 1, drop_last=False, seed=0, workers=workers))


def test_cut_off_or_longer_is_named(tiny: Path) -> None:
    content = tiny.read_bytes()
    for size in [*range(40), 4095, 4096, 4097, *range(len(content) - 9, len(content)), len(content) + 1, 9999]:
        tiny.write_bytes(content[:size].ljust(size, b"\0"))
        with pytest.raises(ValueError, match=r"tiny\.safetensors (isn't a pack|is damaged)"):
            read_pack(tiny)


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(0),
        256,
    ],
)
def test_cut_off_after_it_was_opened_is_named(window: int, tiny: Path) -> None:
    data = opened(read_pack(tiny), window)
    os.truncate(tiny, 4100)
    with pytest.raises(ValueError, match=r"tiny\.safetensors"):
        data.pixels(torch.arange(3))


@pytest.mark.parametrize("window", [0, 256])
def test_replaced_after_it_was_opened_never_gives_other_pixels(window: int, tiny: Path, tmp_path: Path) -> None:
    data = opened(read_pack(tiny), window)
    expected = all_of(tiny)
    other = write_pictures(tmp_path / "other", 4)
    (other / "00000.png").unlink()
    packed(other, tiny, 8)
    assert not torch.equal(all_of(tiny), expected)
    got = expected
    with contextlib.suppress(DamagedPackError):
        got = data.pixels(torch.arange(3)).data
    assert torch.equal(got, expected)


def test_a_pack_that_goes_is_named(tiny: Path) -> None:
    data = opened(read_pack(tiny))
    tiny.unlink()
    with pytest.raises(ValueError, match=r"tiny\.safetensors can't be mapped: No such file"):
        data.pixels(torch.arange(3))
    with pytest.raises(ValueError, match=r"tiny\.safetensors can't be read: No such file"):
        read_pack(tiny)


def test_what_is_no_pack_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"other\.safetensors isn't a pack"):
        read_pack(path)
    path.write_bytes(encoded(0, "JPEG", 200, 200))
    with pytest.raises(ValueError, match=r"other\.safetensors isn't a pack"):
        read_pack(path)
    for metadata in (None, {"format": "pt"}, {"kind": "weights"}):
        save_file({"pixels": np.zeros((3, 3, 8, 8), np.uint8)}, path, metadata)
        with pytest.raises(ValueError, match=r"other\.safetensors isn't a pack"):
            read_pack(path)
    with pytest.raises(ValueError, match=rf"{tmp_path.name} can't be read: Is a directory"):
        read_pack(tmp_path)


def test_a_pack_of_another_version_says_so(tiny: Path) -> None:
    content = tiny.read_bytes()
    assert content.count(b'"version": "2"') == 1
    tiny.write_bytes(content.replace(b'"version": "2"', b'"version": "1"'))
    with pytest.raises(ValueError, match=r"tiny\.safetensors is a pack of version 1, this reads 2: pack again"):
        read_pack(tiny)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"shape": [3, 3, 8, 8]', b'"shape": [3, 3, 8, 4]'),
        (b'"shape": [3, 3, 8, 8]', b'"shape": [6, 3, 4, 8]'),
        (b'"shape": [3, 3, 8, 8]', b'"shape": [-3,3, 8, 8]'),
        pytest.param(b'"shape": [3, 3, 8, 8]', b'"shape": ["", 3,8, 8]'),
        pytest.param(b'"shape": [3, 3, 8, 8]', b'"shape": [9e999,8, 8]'),
        pytest.param(b'"shape": [3, 3, 8, 8]', b'"shape": []          '),
        (b'"skipped": "[]"', b'"skipped": "0 "'),
        (b'"__metadata__": {', b'"__metadaten__":{'),
    ],
)
def test_a_header_that_says_something_else_is_named(old: bytes, new: bytes, tiny: Path) -> None:
    content = tiny.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    tiny.write_bytes(content.replace(old, new))
    with pytest.raises(ValueError, match=r"tiny\.safetensors is"):
        read_pack(tiny)
