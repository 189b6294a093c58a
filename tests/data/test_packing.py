from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lmdb
import pytest
import torch

import reference
from harness.cli.__main__ import main
from harness.data import Reading, open_dataset
from harness.data import batches as batches_of
from harness.data.content import Told
from harness.data.dataset import Dataset
from harness.data.filter import Undamaged, damaged_pictures
from harness.data.image_folder import HIGH_QUALITY_FOLDER, ImageFolder
from harness.data.lsun import FOLDER, Lsun, write_lmdb
from harness.data.packed import NO_DIGEST, PackedImages, digest_of, header_bytes, read_pack
from harness.data.packing import fingerprint_of, open_source, pack_of, write_pack
from harness.data.synthetic import draw_into
from tests import processes
from tests.data.samples import call_with_mounts, encoded, packed, why_no_mounts, write_pictures
from tests.processes import Life

SYSTEM = "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=3"
ROOT = Path(__file__).parents[2]
RANGE = (-1.0, 1.0)


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.005)


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a mistake gets."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["gan-harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == 2, line
        assert line.startswith("gan-harness: ")
        return str(line)

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder of a data root that holds five pictures."""
    return write_pictures(tmp_path / "root" / HIGH_QUALITY_FOLDER, 5)


def opened(folder: Path, said: list[str] | None = None, **how: Any) -> Dataset:
    """As training opens it."""
    told = said.append if said is not None else lambda _: None
    return open_dataset(reference.get(SYSTEM).card, folder.parent, Reading(said=told, **how))


def call(arguments: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Without workers: in a process of `tests.processes` each takes the seconds that importing PyTorch takes."""
    return processes.call([*arguments, "--workers", "0"], cwd)


def part_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name.endswith(".part")]


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
    said: list[str] = []
    open_dataset(reference.get("pytorch-dcgan-celeba").card, tmp_path / "root", Reading(said=said.append))
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
    card, said = reference.get(SYSTEM).card, list[str]()
    data = open_dataset(card, None, Reading(pack=str(path), said=said.append))
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
    folder = draw_into(tmp_path / "root", "faces", 3, 0, lambda _: None)
    packed(folder, tmp_path / "x.safetensors", 64)
    card = reference.get("pytorch-dcgan-celeba").card
    data = open_dataset(card, None, Reading(pack=str(tmp_path / "x.safetensors")))
    assert (data.title, data.real) == ("stand-in: drawn faces", False)


def test_a_pack_alone_says_what_decoded_it_and_what_it_leaves_out(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    (pictures / "00003.png").write_bytes(b"nothing")
    packed(pictures, path, 16, skip_damaged=True)
    decode_with_another_pillow(path)
    card, said = reference.get(SYSTEM).card, list[str]()
    shutil.rmtree(pictures)
    with pytest.raises(ValueError, match="leaves out 1 pictures that can't be read, which only --skip-damaged"):
        open_dataset(card, None, Reading(pack=str(path)))
    open_dataset(card, None, Reading(pack=str(path), skip_damaged=True, said=said.append))
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
    said: list[str] = []
    assert isinstance(open_dataset(card, tmp_path, Reading(said=said.append)), Lsun)
    assert "has changed since" in said[0]


def test_hidden_files_do_not_stale_a_pack(pictures: Path) -> None:
    before = fingerprint_of(pictures, Told())
    (pictures / ".DS_Store").write_bytes(b"x")
    assert fingerprint_of(pictures, Told()) == before
    add_one(pictures)
    assert fingerprint_of(pictures, Told()) != before


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """More pictures than are decoded in the time that a test needs to look."""
    folder = tmp_path / "slow"
    folder.mkdir()
    content = encoded(0, "JPEG", 700, 700)
    for index in range(700):
        (folder / f"{index}.jpg").write_bytes(content)
    return folder


def started(source: Path) -> Life:
    """A process that packs, and has written the first pixels."""
    life = Life(["pack", source, "--workers", "0"], ROOT)
    wait_until(lambda: any(file.stat().st_size for file in part_files(source.parent)))
    return life


def test_killed_while_writing_leaves_no_pack_and_the_next_clears_up(slow: Path) -> None:
    life = started(slow)
    life.kill()
    assert life.wait(60) == -signal.SIGKILL, "it ended before it was killed: it needs more pictures"
    assert not pack_of(slow, 64).exists()
    assert len(part_files(slow.parent)) == 1
    for file in sorted(slow.iterdir())[3:]:
        file.unlink()
    done = call(["pack", slow], ROOT)
    assert done.returncode == 0, done.stderr
    assert not part_files(slow.parent)
    assert read_pack(pack_of(slow, 64)).samples == 3


def test_of_two_writers_the_second_refuses_and_the_first_goes_on(slow: Path) -> None:
    life = started(slow)
    first = life._process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    try:
        done = call(["pack", slow, "--overwrite"], ROOT)
    finally:
        os.kill(first, signal.SIGCONT)
    assert done.returncode == 2
    assert "another process is writing this pack" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert life.wait(60) == 0
    assert read_pack(pack_of(slow, 64)).samples == 700
    assert not part_files(slow.parent)


def test_interrupted_writing_leaves_nothing(slow: Path) -> None:
    life = started(slow)
    assert life._process.pid is not None
    os.kill(life._process.pid, signal.SIGINT)
    assert life.wait(60) == 130
    assert [file.name for file in slow.parent.iterdir()] == ["slow"]


@pytest.mark.parametrize("change", [replace_one, add_one, remove_one, exchange_one_in_secret])
def test_a_source_that_changes_while_it_is_packed_is_no_pack(change: Callable[[Path], None], pictures: Path) -> None:
    path = pack_of(pictures, 8)
    with pytest.raises(ValueError, match="celeba_hq changed while it was packed: nothing was written"):
        write_pack(pictures, path, 8, workers=0, skip_damaged=False, said=lambda *_: change(pictures))
    assert [file.name for file in pictures.parent.iterdir()] == [pictures.name]


def test_a_failure_leaves_the_pack_that_was_there(pictures: Path) -> None:
    path = pack_of(pictures, 16)
    packed(pictures, path, 16)
    before = path.read_bytes()
    (pictures / "00003.png").write_bytes(b"broken")
    done = call(["pack", pictures, "--side", "16", "--overwrite"], ROOT)
    assert done.returncode == 2
    assert "00003.png can't be read as an image" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert path.read_bytes() == before
    assert not part_files(path.parent)


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
    counted: list[int] = []
    found = damaged_pictures(whole, workers, counted.append)
    assert (found, counted) == (DAMAGED, [5])
    expected = Undamaged(whole, found)
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


def test_a_full_disk_is_said_before_and_while_it_is_written(tmp_path: Path, pictures: Path) -> None:
    if why_no_mounts():
        pytest.skip(why_no_mounts())
    small = tmp_path / "small"
    small.mkdir()
    mount: list[str | Path] = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", small]
    code, told, names = call_with_mounts([mount], ["pack", pictures, small, "--side", "64"], tmp_path / "told", small)
    assert (code, names) == (2, [""])
    assert told.startswith("gan-harness: the pack takes 0 MB and ")
    # What is free says little of what may be written: a limit on files stops it on the way.
    code, told, names = call_with_mounts(
        [["-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", small]],
        ["pack", pictures, small, "--side", "8"],
        tmp_path / "told2",
        small,
    )
    assert (code, names) == (2, [""])
    assert told.startswith(f"gan-harness: {small}/celeba_hq-8x8.safetensors can't be written: the disk is full")
    assert len(told.strip().splitlines()) == 1


def test_a_disk_that_fills_up_leaves_nothing(pictures: Path) -> None:
    """Another fills it while the pack is written, after there was room enough."""
    path = pack_of(pictures, 64)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(ValueError, match=r"64x64\.safetensors can't be written: the disk is full; nothing is left"):
            write_pack(pictures, path, 64, workers=0, skip_damaged=False, said=lambda *_: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)
    assert [file.name for file in pictures.parent.iterdir()] == [pictures.name]


def test_a_folder_that_cannot_be_written_gets_one_line_and_can_be_read(tmp_path: Path, pictures: Path) -> None:
    if why_no_mounts():
        pytest.skip(why_no_mounts())
    root = pictures.parent
    packed(pictures, pack_of(pictures, 16), 16)
    mounts: list[list[str | Path]] = [["--bind", root, root], ["-o", "remount,ro,bind", root]]
    code, told, names = call_with_mounts(mounts, ["pack", pictures, "--side", "8"], tmp_path / "told", root)
    assert (code, names) == (2, ["celeba_hq", "celeba_hq-16x16.safetensors"])
    path = pack_of(pictures, 8)
    assert told == f"gan-harness: {path} can't be written: Read-only file system; nothing is left of it\n"
    out = tmp_path / "run"
    arguments: list[str | Path] = [
        "train",
        SYSTEM,
        "--data-root",
        root,
        "--steps",
        "1",
        "--batch-size",
        "2",
        "--out",
        out,
        "--no-tensorboard",
        "--no-pictures",
    ]
    code, told, _ = call_with_mounts(mounts, arguments, tmp_path / "told2", root)
    assert code == 0, told
    assert "reading the pack" in (out / "log.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--side", "0"), "--side must be 1 or more, not 0"),
        (("--workers", "-1"), "--workers must be 0 or more, not -1"),
        (("/no/where/x.safetensors",), "/no/where isn't a folder: the pack x.safetensors can't be written there"),
        (("--side", "10000000"), "the pack takes 1,500,000,000 MB and "),
    ],
)
def test_mistakes_in_packing_get_one_line(
    arguments: tuple[str, ...], message: str, pictures: Path, complaint: Callable[..., str]
) -> None:
    assert message in complaint("pack", pictures, *arguments)
    assert [file.name for file in pictures.parent.iterdir()] == [pictures.name]


def test_sources_that_are_none_get_one_line(tmp_path: Path, complaint: Callable[..., str]) -> None:
    assert f"{tmp_path / 'none'} isn't there" in complaint("pack", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "empty holds no images" in complaint("pack", tmp_path / "empty")
    (tmp_path / "file").write_bytes(b"")
    assert "file isn't a folder" in complaint("pack", tmp_path / "file")


def test_a_pack_that_is_there_is_replaced_only_if_asked(pictures: Path, complaint: Callable[..., str]) -> None:
    path = pack_of(pictures, 8)
    path.write_bytes(b"thesis")
    assert f"{path} is there already; --overwrite replaces it" in complaint("pack", pictures, "--side", 8)
    assert path.read_bytes() == b"thesis"


@pytest.mark.parametrize("dest", ["inside", "folder", "dot"])
def test_packing_into_the_source_leaves_it_usable(dest: str, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: dict[str, list[object]] = {
        "inside": [pictures, pictures / "x.safetensors"],
        "folder": [pictures, pictures],
        "dot": ["."],
    }
    monkeypatch.chdir(pictures)
    call(["pack", *map(str, arguments[dest]), "--side", "16"], pictures)
    assert len(ImageFolder(pictures, (3, 16, 16), RANGE)) == 5


def test_a_name_that_is_no_text_is_named(pictures: Path) -> None:
    try:
        os.rename(bytes(pictures / "00001.png"), bytes(pictures) + b"/caf\xe9.png")
    except OSError as error:
        pytest.skip(f"no such names here: {error}")
    said = ""
    try:
        ImageFolder(pictures, (3, 16, 16), RANGE).pixels(torch.arange(5))
    except ValueError as error:
        said = str(error)
    assert not said or str(pictures) in said
