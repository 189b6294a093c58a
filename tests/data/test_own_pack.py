from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import open_data
from harness.data.openers import Reading
from harness.data.own_pack import packed_own_data, write_own_pack
from tests.data.test_own import PICTURES, POINTS, Listed
from tests.data.test_own import Mine as Owner
from tests.processes import call


class Counted(Listed):
    """Says how often an item was read."""

    read = 0

    def __getitem__(self, index: int) -> Any:
        Counted.read += 1
        return super().__getitem__(index)


class OfPictures(Owner):
    card = PICTURES


def mine(make: Callable[[Path | None], Any]) -> Any:
    """A reference, as far as data go."""
    return Owner(make)


def my_pictures() -> Any:
    return OfPictures(lambda _: pictures(9))


def pictures(count: int) -> Listed:
    values = np.arange(count * 60, dtype=np.uint8).reshape(count, 4, 5, 3)
    return Listed(*((Image.fromarray(picture), index % 3) for index, picture in enumerate(values)))


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        (mine(lambda _: Listed(*POINTS)), torch.float32),
        (my_pictures(), torch.uint8),
    ],
)
def test_a_pack_is_the_data_to_the_bit(reference: Any, kind: torch.dtype, tmp_path: Path) -> None:
    live = open_data(reference, None)
    write_own_pack(reference, None, tmp_path / "pack")
    packed = open_data(reference, None, Reading(str(tmp_path / "pack")))
    assert (packed.title, packed.fingerprint) == (live.title, live.fingerprint)
    indices = torch.tensor([3, 0, 5])
    one, other = live[indices], packed[indices]
    assert torch.equal(one.data, other.data)
    assert (one.labels is None and other.labels is None) or torch.equal(one.labels, other.labels)  # type: ignore[arg-type]
    assert torch.from_numpy(np.load(tmp_path / "pack" / "data.npy")).dtype == kind


def test_what_is_packed_is_computed_no_more(tmp_path: Path) -> None:
    data = Counted(*torch.arange(4000.0).view(2000, 2))
    reference = mine(lambda _: data)
    write_own_pack(reference, None, tmp_path / "pack")
    Counted.read = 0
    packed = packed_own_data(reference, None, tmp_path / "pack")
    assert torch.equal(packed[torch.arange(2000)].data, torch.arange(4000.0).view(2000, 2))
    assert packed.fingerprint
    assert Counted.read < 50, "the few that are held against the pack"


def test_larger_data_are_written_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.data.own_pack._PIECE", 4)
    reference = my_pictures()
    write_own_pack(reference, None, tmp_path / "pack")
    assert packed_own_data(reference, None, tmp_path / "pack").fingerprint == open_data(reference, None).fingerprint


def changed(folder: Path, change: Callable[[Path], None]) -> str:
    reference = mine(lambda _: Listed(*POINTS))
    write_own_pack(reference, None, folder)
    change(folder)
    with pytest.raises(ValueError, match=str(folder)) as raised:
        packed_own_data(reference, None, folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def cut_off(folder: Path) -> None:
    content = (folder / "data.npy").read_bytes()
    (folder / "data.npy").write_bytes(content[:-20])


def of_another(folder: Path) -> None:
    facts = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps(facts | {"reference": "another"}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut_off, "is damaged"),
        (of_another, "holds the data of another, not of mine"),
        (lambda folder: (folder / "pack.json").write_text("{}"), "is damaged"),
        (
            lambda folder: (folder / "pack.json").unlink(),
            "is no pack of mine's own data: `gan-harness pack mine",
        ),
        (lambda folder: (folder / "data.npy").unlink(), "is damaged"),
        (lambda folder: np.save(folder / "data.npy", POINTS.numpy() + 1), "holds other items than data"),
        (lambda folder: np.save(folder / "data.npy", POINTS.numpy()[:-1]), "holds other items than data"),
    ],
)
def test_a_pack_that_is_not_the_data_is_one_line(change: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    assert said in changed(tmp_path / "pack", change)


def test_a_pack_is_replaced_only_when_told_so_and_nothing_else_is(tmp_path: Path) -> None:
    before, after = mine(lambda _: Listed(*POINTS)), mine(lambda _: Listed(*(POINTS + 1)))
    folder = tmp_path / "pack"
    write_own_pack(before, None, folder)
    with pytest.raises(ValueError, match="is there already; --overwrite replaces it"):
        write_own_pack(after, None, folder)
    write_own_pack(after, None, folder, overwrite=True)
    assert packed_own_data(after, None, folder).fingerprint == open_data(after, None).fingerprint
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ValueError, match="is there already, and is no pack"):
        write_own_pack(after, None, tmp_path / "thesis", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pack", "thesis"]


def test_a_disk_without_room_is_said_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3})())
    with pytest.raises(ValueError, match=r"the pack takes 0 MB and .* has 0 MB left"):
        write_own_pack(mine(lambda _: Listed(*POINTS)), None, tmp_path / "pack")
    assert not list(tmp_path.iterdir())


def test_training_on_a_pack_has_the_bits_of_training_without(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / "folder_of_pictures.py"
    (tmp_path / "folder_of_pictures.py").write_text(source.read_text())
    module = ("--reference-module", "folder_of_pictures")
    packed = call(("pack", "my-pictures", "packed", *module), tmp_path)
    assert packed.returncode == 0, packed.stderr
    assert "packed: 512 items of drawn discs, 3.5 MB\ntrain with --pack packed" in packed.stdout
    usual = ("train", "my-pictures", *module, "--steps", "2", "--batch-size", "4", "--trace", "--device", "cpu")
    for name, more in (("live", ()), ("mapped", ("--pack", "packed"))):
        done = call((*usual, "--out", name, *more), tmp_path)
        assert done.returncode == 0, done.stderr
    traces = [(tmp_path / name / "trace.jsonl").read_text() for name in ("live", "mapped")]
    assert traces[0] == traces[1]
    done = call(("pack", "idl-gan-mnist", "other", *module), tmp_path)
    assert done.stderr == "gan-harness: idl-gan-mnist brings no data of its own: pack the folder of its pictures\n"
    done = call(("pack", "my-pictures", "other", "--side", "32", *module), tmp_path)
    assert done.stderr == "gan-harness: --side is for pictures: own data is packed as its items are\n"
