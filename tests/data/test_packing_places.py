"""Packing where a disk is full, somebody else writes, or it is killed."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.data.image_folder import ImageFolder
from harness.data.packed import read_pack
from harness.data.packing import pack_of, write_pack
from tests.data.samples import call_with_mounts, encoded, packed, why_no_mounts
from tests.data.test_packing import (
    RANGE,
    ROOT,
    SYSTEM,
    add_one,
    call,
    exchange_one_in_secret,
    remove_one,
    replace_one,
)
from tests.logs import listening
from tests.processes import Life


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.005)


def part_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name.endswith(".part")]


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
    *told, why = done.stderr.strip().splitlines()
    assert "another process is writing this pack" in why
    assert all("known since" in line for line in told), "that large data are looked up is said too"
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
    said = "celeba_hq changed while it was packed: nothing was written"
    with pytest.raises(ValueError, match=said), listening(lambda _: change(pictures)):
        write_pack(pictures, path, 8, workers=0, skip_damaged=False)
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
            write_pack(pictures, path, 64, workers=0, skip_damaged=False)
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
