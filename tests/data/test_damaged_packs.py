"""Packs of data sets in which pictures are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.data import batches as batches_of
from harness.data.filter import SkipDamaged, damaged_pictures
from harness.data.image_folder import ImageFolder
from harness.data.lsun import write_lmdb
from harness.data.packed import PackedImages
from harness.data.packing import open_source, pack_of
from tests.data.samples import encoded, packed, write_pictures
from tests.data.test_packing import RANGE, ROOT, call, opened
from tests.logs import progress

DAMAGED = [1, 4]


@pytest.fixture
def damaged(pictures: Path) -> Path:
    (pictures / "00001.png").write_bytes(b"broken")
    (pictures / "00004.png").write_bytes(encoded(4)[:60])
    return pictures


@pytest.mark.parametrize("kind", ["folder", "database"])
@pytest.mark.parametrize("workers", [0, 1])
def test_without_damaged_pictures_a_pack_is_the_undamaged_data_set(
    kind: str, workers: int, damaged: Path, tmp_path: Path
) -> None:
    source = damaged
    if kind == "database":
        source = tmp_path / "lmdb"
        write_lmdb(source, ((file.name.encode(), file.read_bytes()) for file in sorted(damaged.iterdir())))
    whole = open_source(source, 16)
    with progress() as counted:
        found = damaged_pictures(whole, workers)
    assert (found, [(one.done, one.total) for one in counted]) == (DAMAGED, [(5, 5)])
    expected = SkipDamaged(whole, found)
    pack = packed(source, tmp_path / "x.safetensors", 16, workers=workers, skip_damaged=True)
    assert pack.skipped == tuple(whole.name(index) for index in DAMAGED)
    data = PackedImages(pack, RANGE, "", True)
    order = torch.tensor([2, 0, 1, 1])
    assert (len(data), data.fingerprint) == (len(expected), expected.fingerprint)
    assert data.fingerprint != whole.fingerprint
    assert torch.equal(data[order].data, expected[order].data)
    assert torch.equal(data.pixels(order).data, whole.pixels(torch.tensor([3, 0, 2, 2])).data)


def test_damaged_pictures_are_counted_and_listed_and_only_left_out_if_asked(damaged: Path) -> None:
    assert call(["pack", damaged, "--side", "16"], ROOT).returncode == 2
    assert not pack_of(damaged, 16).exists()
    shown = call(["pack", damaged, "--side", "16", "--skip-damaged"], ROOT).stdout
    assert "3 pictures" in shown
    assert shown.splitlines()[1:] == ["left out, because they can't be read: 2", "  00001.png", "  00004.png"]
    said: list[str] = []
    assert isinstance(opened(damaged, said), ImageFolder)
    assert "it leaves out 2 pictures that can't be read, which only --skip-damaged allows" in said[0]
    with pytest.raises(ValueError, match="it leaves out 2 pictures"):
        opened(damaged, pack=str(pack_of(damaged, 16)))
    said.clear()
    with_pack = opened(damaged, said, skip_damaged=True)
    assert isinstance(with_pack, PackedImages)
    assert said == [f"reading the pack {pack_of(damaged, 16)}, without 2 that can't be read: 00001.png, 00004.png"]
    said.clear()
    without = opened(damaged, said, skip_damaged=True, pack="never")
    assert said == ["left out 2 of 5 pictures, which can't be read: 00001.png, 00004.png"]
    assert without.fingerprint == with_pack.fingerprint
    order = torch.tensor([2, 1, 0])
    for workers in (0, 2):
        read = [
            next(batches_of(data, order, 3, drop_last=False, seed=0, workers=workers)) for data in (without, with_pack)
        ]
        assert torch.equal(read[0].data, read[1].data)


def test_where_nothing_is_damaged_skipping_changes_nothing(pictures: Path) -> None:
    plain, skipping = opened(pictures), opened(pictures, skip_damaged=True)
    assert plain.fingerprint == skipping.fingerprint
    pack = packed(pictures, pack_of(pictures, 16), 16, skip_damaged=True)
    assert (pack.skipped, pack.fingerprint) == ((), plain.fingerprint)
    assert isinstance(opened(pictures), PackedImages)


def test_where_all_is_damaged_there_is_no_data_set(pictures: Path) -> None:
    for file in pictures.iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(ValueError, match="celeba_hq: none of its 5 pictures can be read"):
        packed(pictures, pack_of(pictures, 16), 16, skip_damaged=True)
    with pytest.raises(ValueError, match="celeba_hq: none of its 5 pictures can be read"):
        opened(pictures, skip_damaged=True)
    assert [file.name for file in pictures.parent.iterdir()] == [pictures.name]


@pytest.mark.parametrize(
    ("n", "lost"),
    [
        (300, [0, 255, 256, 299]),
        (513, list(range(250, 510))),
        (512, list(range(256))),
        pytest.param(257, [256]),
        pytest.param(512, list(range(256, 512))),
    ],
)
def test_blocks_are_full_wherever_pictures_were_left_out(n: int, lost: list[int], tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", n, 4, 4)
    for index in lost:
        (folder / f"{index:05d}.png").write_bytes(b"broken")
    pack = packed(folder, tmp_path / "x.safetensors", 4, skip_damaged=True)
    whole = ImageFolder(folder, (3, 4, 4), RANGE)
    assert pack.skipped == tuple(whole.name(index) for index in lost)
    left = torch.tensor([index for index in range(n) if index not in lost])
    data = PackedImages(pack, RANGE, "", True)
    assert torch.equal(data.pixels(torch.arange(len(data))).data, whole.pixels(left).data)
