from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import pytest
import torch

import reference
from harness.data import Reading, open_dataset
from harness.data.dataset import Dataset
from harness.data.image_folder import ImageFolder
from harness.data.lsun import FOLDER, Lsun, write_lmdb
from harness.data.packed import NO_DIGEST, PackedImages, digest_of, header_bytes, read_pack
from harness.data.packing import fingerprint_of, pack_of
from harness.data.synthetic import draw_into
from tests import processes
from tests.data.samples import encoded, packed, write_pictures
from tests.logs import hearing

SYSTEM = "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=3"
ROOT = Path(__file__).parents[2]
RANGE = (-1.0, 1.0)


def opened(folder: Path, said: list[str] | None = None, **how: Any) -> Dataset:
    """As training opens it."""
    with hearing() as lines:
        data = open_dataset(reference.get(SYSTEM).card, folder.parent, Reading(**how))
    if said is not None:
        said += lines
    return data


def call(arguments: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without workers: in a process of `tests.processes` each takes the seconds that importing PyTorch takes."""
    return processes.call([*arguments, "--workers", "0"], cwd)


@pytest.mark.parametrize(("n", "workers"), [(1, 0), (255, 0), (256, 0), (257, 0), (513, 0), (513, 2)])
def test_any_number_of_pictures_is_packed(n: int, workers: int, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", n, 4, 4)
    pack = packed(folder, pack_of(folder, 4), 4, workers=workers)
    assert (pack.samples, len(pack.checksums)) == (n, -(-n // 256))
    expected = ImageFolder(folder, (3, 4, 4), RANGE).pixels(torch.arange(n)).data
    assert torch.equal(PackedImages(pack, RANGE, "", True).pixels(torch.arange(n)).data, expected)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pictures", "pictures-4x4.safetensors"]


def test_the_same_pictures_make_the_same_file(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures", 3)
    for name in ("one", "two"):
        packed(folder, tmp_path / f"{name}.safetensors", 8)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert (tmp_path / "one.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_command_packs_where_training_finds_it(pictures: Path) -> None:
    done = call(["pack", pictures, "--side", "16"], ROOT)
    assert done.returncode == 0, done.stderr
    assert "5 pictures of 16×16 pixels" in done.stdout
    assert "train with --pack" not in done.stdout
    said: list[str] = []
    data = opened(pictures, said)
    assert isinstance(data, PackedImages)
    assert said == [f"reading the pack {pictures.parent / 'celeba_hq-16x16.safetensors'}"]
    folder = ImageFolder(pictures, (3, 16, 16), RANGE)
    assert torch.equal(data[torch.arange(5)].data, folder[torch.arange(5)].data)
    assert data.fingerprint == folder.fingerprint


def test_never_and_other_sides_read_the_pictures(pictures: Path) -> None:
    packed(pictures, pack_of(pictures, 16), 16)
    assert isinstance(opened(pictures, pack="never"), ImageFolder)
    assert isinstance(opened(pictures), PackedImages), "without `never` it would have been used"
    pack_of(pictures, 16).rename(pack_of(pictures, 8))
    assert isinstance(opened(pictures), ImageFolder)


def replace_one(folder: Path) -> None:
    (folder / "00002.png").write_bytes(encoded(77, "PNG", 20, 20))


def replace_one_by_as_many_bytes(folder: Path) -> None:
    size = (folder / "00002.png").stat().st_size
    (folder / "00002.png").write_bytes(encoded(77, "WEBP").ljust(size, b"\0"))


def add_one(folder: Path) -> None:
    (folder / "00009.png").write_bytes(encoded(9))


def remove_one(folder: Path) -> None:
    (folder / "00002.png").unlink()


def exchange_one_in_secret(folder: Path) -> None:
    """Another picture under the same name, with as many bytes and the time of the one before."""
    file = folder / "00002.png"
    before = file.stat()
    replace_one_by_as_many_bytes(folder)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename_one(folder: Path) -> None:
    (folder / "00002.png").rename(folder / "00007.png")


def pack_in_another_side(folder: Path) -> None:
    packed(folder, pack_of(folder, 16), 8)


def pack_with_another_pillow(folder: Path) -> None:
    decode_with_another_pillow(pack_of(folder, 16))


def decode_with_another_pillow(path: Path) -> None:
    pack = read_pack(path)
    other = dataclasses.replace(pack, transform={**pack.transform, "Pillow": "1.1.7"})
    content = path.read_bytes()
    digest = digest_of(header_bytes(other, NO_DIGEST, pack.offset), pack.checksums)
    path.write_bytes(header_bytes(other, digest, pack.offset) + content[pack.offset :])


CHANGES: list[tuple[Callable[[Path], None], str]] = [
    (replace_one, "celeba_hq has changed since"),
    (replace_one_by_as_many_bytes, "celeba_hq has changed since"),
    (add_one, "celeba_hq has changed since"),
    (remove_one, "celeba_hq has changed since"),
    (exchange_one_in_secret, "celeba_hq has changed since"),
    (rename_one, "celeba_hq has changed since"),
    (pack_in_another_side, "its pictures are (3, 8, 8), asked for are (3, 16, 16)"),
    (pack_with_another_pillow, "made with another Pillow: 1.1.7, here it is"),
]


@pytest.mark.parametrize(("change", "why"), CHANGES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_stale_pack_is_said_and_not_used_and_refused_if_asked_for(
    change: Callable[[Path], None], why: str, pictures: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    path = pack_of(pictures, 16)
    packed(pictures, path, 16)
    change(pictures)
    said: list[str] = []
    data = opened(pictures, said)
    assert isinstance(data, ImageFolder)
    (line,) = said
    assert line.startswith(f"the pack {path} isn't used: ")
    assert why in line
    assert f"`gan-harness pack {pictures} --side 16 --overwrite` makes it anew" in line
    told = complaint(
        "train", SYSTEM, "--data-root", pictures.parent, "--pack", path, "--batch-size", 2, "--out", tmp_path / "run"
    )
    assert f"the pack {path} doesn't hold what {pictures} does: " in told
    assert why in told
    assert not (tmp_path / "run").exists()


def test_what_a_stale_pack_says_to_do_helps(pictures: Path) -> None:
    packed(pictures, pack_of(pictures, 16), 16)
    replace_one(pictures)
    said: list[str] = []
    opened(pictures, said)
    command = said[0].split("`")[1].split()
    assert command[:2] == ["gan-harness", "pack"]
    assert call([*command[1:], "--overwrite"], ROOT).returncode == 0
    assert isinstance(opened(pictures), PackedImages)


def test_what_a_stale_pack_says_to_do_can_be_done(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "root" / "celeba" / "img_align_celeba", 2)
    packed(folder, pack_of(folder, 64), 64)
    (folder / "00001.png").write_bytes(encoded(7))
    with hearing() as said:
        open_dataset(reference.get("pytorch-dcgan-celeba").card, tmp_path / "root")
    assert call(said[0].split("`")[1].split()[1:], ROOT).returncode == 0


def test_a_pack_asked_for_that_cannot_be_read_gets_one_line(
    pictures: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    path = pack_of(pictures, 16)
    packed(pictures, path, 16)
    run = ("train", SYSTEM, "--data-root", pictures.parent, "--batch-size", 2, "--out", tmp_path / "run")
    assert f"{tmp_path / 'none'} can't be read: No such file" in complaint(*run, "--pack", tmp_path / "none")
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    for asked in (("--pack", path), ()):
        assert f"{path} is damaged" in complaint(*run, *asked)


@pytest.mark.parametrize("system", ["mlp-gan-mnist", "idl-gan-grid", "style-transfer@size=16"])
def test_a_pack_asked_for_where_there_are_none_is_refused(system: str, tmp_path: Path) -> None:
    card = reference.get(system).card
    open_dataset(card, None, Reading(pack="never"))
    for option, reading in (
        ("--pack", Reading(pack=str(tmp_path / "nowhere.safetensors"))),
        ("--skip-damaged", Reading(skip_damaged=True)),
    ):
        with pytest.raises(ValueError, match=f"^{option} plays a part for pictures in files"):
            open_dataset(card, None, reading)


def test_a_pack_by_name_is_enough_where_its_pictures_are_not(tmp_path: Path, pictures: Path) -> None:
    path = tmp_path / "x.safetensors"
    expected = ImageFolder(pictures, (3, 16, 16), RANGE)
    fingerprint, pixels = expected.fingerprint, expected.pixels(torch.arange(5)).data
    packed(pictures, path, 16)
    shutil.rmtree(pictures)
    card = reference.get(SYSTEM).card
    with hearing() as said:
        data = open_dataset(card, None, Reading(pack=str(path)))
    assert isinstance(data, PackedImages)
    assert (data.title, data.real, data.complete) == ("CelebA-HQ, 5 of 30,000", True, False)
    assert data.fingerprint == fingerprint
    assert torch.equal(data.pixels(torch.arange(5)).data, pixels)
    assert said == [
        f"reading the pack {path} alone: the pictures it was made of ({pictures.resolve()}) aren't in a data root here"
    ]
    with pytest.raises(ValueError, match=r"x\.safetensors holds pictures of \(3, 16, 16\); pytorch-dcgan-celeba asks"):
        open_dataset(reference.get("pytorch-dcgan-celeba").card, None, Reading(pack=str(path)))


def test_a_pack_alone_that_was_made_of_drawn_faces_is_no_celeba(tmp_path: Path) -> None:
    folder = draw_into(tmp_path / "root", "faces", 3, 0)
    packed(folder, tmp_path / "x.safetensors", 64)
    card = reference.get("pytorch-dcgan-celeba").card
    data = open_dataset(card, None, Reading(pack=str(tmp_path / "x.safetensors")))
    assert (data.title, data.real) == ("stand-in: drawn faces", False)


def test_a_pack_alone_says_what_decoded_it_and_what_it_leaves_out(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    (pictures / "00003.png").write_bytes(b"nothing")
    packed(pictures, path, 16, skip_damaged=True)
    decode_with_another_pillow(path)
    card = reference.get(SYSTEM).card
    shutil.rmtree(pictures)
    with pytest.raises(ValueError, match="leaves out 1 pictures that can't be read, which only --skip-damaged"):
        open_dataset(card, None, Reading(pack=str(path)))
    with hearing() as said:
        open_dataset(card, None, Reading(pack=str(path), skip_damaged=True))
    assert "alone, without 1 that can't be read: 00003.png" in said[0]
    assert "it was decoded with Pillow 1.1.7, here" in said[0]


def test_a_database_is_packed_and_its_pack_stales_with_it(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    write_lmdb(folder, ((b"key%d" % index, encoded(index)) for index in range(4)))
    packed(folder, pack_of(folder, 64), 64)
    card = reference.get("handson-dcgan-lsun").card
    data = open_dataset(card, tmp_path)
    assert isinstance(data, PackedImages)
    assert torch.equal(data.pixels(torch.arange(4)).data, Lsun(folder, (3, 64, 64), RANGE).pixels(torch.arange(4)).data)
    with lmdb.open(str(folder), readonly=True) as environment:  # makes or touches the lock file
        environment.stat()
    assert isinstance(open_dataset(card, tmp_path), PackedImages), "reading a database doesn't make a pack stale"
    with lmdb.open(str(folder), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"key1", encoded(9))
    with hearing() as said:
        assert isinstance(open_dataset(card, tmp_path), Lsun)
    assert "has changed since" in said[0]


def test_hidden_files_do_not_stale_a_pack(pictures: Path) -> None:
    before = fingerprint_of(pictures)
    (pictures / ".DS_Store").write_bytes(b"x")
    assert fingerprint_of(pictures) == before
    add_one(pictures)
    assert fingerprint_of(pictures) != before
