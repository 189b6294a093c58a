from __future__ import annotations

import hashlib
import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import reference
from harness.cli.__main__ import main
from harness.data import availability, open_dataset
from harness.data.image_folder import ATTRIBUTES, FOLDER, read_attributes
from harness.data.lsun import FOLDER as DATABASE
from harness.data.pairs import FOLDER as PAIRS
from harness.data.registry import faces_root, has_real_data
from harness.data.synthetic import DRAWN, MARK, draw_into, title_of
from harness.records.progress import progress_in
from tests.logs import listening, progress
from tests.processes import Life, call

ROOT = Path(__file__).parents[2]
SYSTEMS = {
    "faces": ("pytorch-dcgan-celeba", FOLDER, "stand-in: drawn faces"),
    "lsun-like": ("handson-dcgan-lsun", DATABASE, "stand-in: drawn faces in an LMDB"),
    "pairs": ("idl-ex6-pix2pix@size=32,width=2", PAIRS, "stand-in: drawn faces and their outlines"),
}


def contents(root: Path) -> dict[str, str]:
    """Every file below `root` but LMDB's lock, with its digest."""
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.rglob("*"))
        if file.is_file() and file.name != "lock.mdb"
    }


def test_every_kind_is_tested() -> None:
    assert SYSTEMS.keys() == DRAWN.keys()


@pytest.mark.parametrize("kind", SYSTEMS)
def test_what_is_drawn_lies_as_the_real_data_do_and_says_what_it_is(kind: str, tmp_path: Path) -> None:
    system, folder, title = SYSTEMS[kind]
    with progress() as heard:
        assert draw_into(tmp_path, kind, 3, 1) == tmp_path / folder
    assert [(one.done, one.total) for one in heard] == [(1, 3), (2, 3), (3, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.parts[0]]
    assert title_of(tmp_path / folder.parts[0]) == title
    card = reference.get(system).card
    assert not has_real_data(card, tmp_path)
    data = open_dataset(card, tmp_path)
    assert (len(data), data.real, data.title) == (3, False, title)
    assert data[torch.arange(3)].data.shape == (3, *card.data_shape)
    (told,) = [one for one in availability(tmp_path) if one.dataset == card.dataset]
    assert not told.found
    assert title in told.place
    (tmp_path / folder.parts[0] / MARK).unlink()
    unmarked = open_dataset(card, tmp_path)
    assert unmarked.real, "it was the mark that told"
    assert has_real_data(card, tmp_path) == unmarked.complete == (kind == "pairs"), "three are a part of it"


def test_faces_have_celebas_names_and_an_attribute_file_that_is_theirs(tmp_path: Path) -> None:
    folder = draw_into(tmp_path, "faces", 4, 0)
    files = sorted(file.name for file in folder.iterdir())
    assert files == ["000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg"]
    attributes = read_attributes(tmp_path / ATTRIBUTES)
    assert list(attributes.files) == files
    lines = (tmp_path / ATTRIBUTES).read_text().splitlines()
    assert lines[0] == "4"
    assert lines[1].split() == list(attributes.names)
    with Image.open(folder / "000001.jpg") as image:
        assert (image.size, image.format, image.mode) == ((178, 218), "JPEG", "RGB")
    assert faces_root(tmp_path) == (tmp_path, "stand-in: drawn faces", False)


def test_pairs_lie_side_by_side(tmp_path: Path) -> None:
    folder = draw_into(tmp_path, "pairs", 2, 0)
    assert sorted(file.name for file in folder.iterdir()) == ["1.jpg", "2.jpg"]
    with Image.open(folder / "2.jpg") as image:
        assert image.size == (512, 256)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_seed_draws_the_same_and_another_others(kind: str, tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        draw_into(tmp_path / name, kind, 2, seed)
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_a_data_set_that_is_there_stays_and_others_come_beside_it(tmp_path: Path) -> None:
    draw_into(tmp_path, "faces", 1, 0)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="celeba is there already: nothing is deleted"):
        draw_into(tmp_path, "faces", 2, 0)
    assert contents(tmp_path) == before
    draw_into(tmp_path, "pairs", 1, 0)
    assert contents(tmp_path).items() > before.items()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["celeba", "pairs"]


@pytest.mark.parametrize("kind", SYSTEMS)
def test_what_fails_in_the_middle_leaves_nothing(kind: str, tmp_path: Path) -> None:
    def stop(record: logging.LogRecord) -> None:
        reported = progress_in(record)
        if reported is not None and reported.done == 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), listening(stop):
        draw_into(tmp_path, kind, 3, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", SYSTEMS)
def test_killed_in_the_middle_there_is_no_data_set(kind: str, tmp_path: Path) -> None:
    life = Life(["make-data", kind, "--out", tmp_path, "-n", "100000"], ROOT)
    end = time.monotonic() + 300
    while not any(file.is_file() and file.stat().st_size for file in tmp_path.rglob("*")):
        assert time.monotonic() < end
        time.sleep(0.01)
    life.kill()
    assert life.wait(60) == -signal.SIGKILL
    assert not (tmp_path / SYSTEMS[kind][1]).exists()
    assert open_dataset(reference.get("idl-gan-grid").card, None).real
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    draw_into(tmp_path, kind, 1, 0)
    assert len(open_dataset(reference.get(SYSTEMS[kind][0]).card, tmp_path)) == 1


def test_the_command_says_how_to_use_what_it_drew(tmp_path: Path) -> None:
    done = call(["make-data", "faces", "--out", tmp_path / "new" / "root", "-n", "2", "--seed", "3"], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"2 drawn: {tmp_path / 'new' / 'root' / FOLDER}; use them with --data-root ")
    draw_into(tmp_path / "same", "faces", 2, 3)
    assert contents(tmp_path / "same") == contents(tmp_path / "new" / "root")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bedrooms",), "unknown data 'bedrooms'; there are: faces, lsun-like, pairs"),
        (("faces", "-n", "0"), "-n must be 1 or more, not 0"),
        (("faces", "-n", "-5"), "-n must be 1 or more, not -5"),
        (("faces", "-n", "many"), "Invalid value for '-n'"),
        (("faces", "--seed", "-1"), "--seed must be 0 or more, not -1"),
        ((), "Missing argument"),
    ],
)
def test_mistakes_get_one_line_and_draw_nothing(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["gan-harness", "make-data", *arguments, "--out", str(tmp_path / "root")])
    with pytest.raises(SystemExit) as ended:
        main()
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert message in line
    assert not (tmp_path / "root").exists()


def test_drawing_does_not_depend_on_global_random_states(tmp_path: Path) -> None:
    draws: list[Callable[[Path], Path]] = [lambda root: draw_into(root, "faces", 1, 0)] * 2
    before = torch.random.get_rng_state()
    for number, draw in enumerate(draws):
        draw(tmp_path / str(number))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert contents(tmp_path / "0") == contents(tmp_path / "1")
