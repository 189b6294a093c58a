from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data.faces import FREQUENCIES, SIZE, draw_attributes, draw_face, write_faces
from harness.data.image_folder import ATTRIBUTES, FOLDER, ImageFolder, read_attributes


def test_faces_are_deterministic_by_seed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_faces(tmp_path / name, 3, seed=5)
    write_faces(tmp_path / "other", 3, seed=6)

    def content(name: str) -> list[bytes]:
        return [f.read_bytes() for f in sorted((tmp_path / name / FOLDER).iterdir())]

    assert content("one") == content("two")
    assert content("one") != content("other")


def test_a_face_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    write_faces(tmp_path / "few", 2, seed=0)
    write_faces(tmp_path / "more", 4, seed=0)
    assert (tmp_path / "few" / FOLDER / "000002.jpg").read_bytes() == (
        tmp_path / "more" / FOLDER / "000002.jpg"
    ).read_bytes()


def test_they_lie_as_celeba_does(tmp_path: Path) -> None:
    write_faces(tmp_path, 12, seed=0)
    with Image.open(tmp_path / FOLDER / "000001.jpg") as image:
        assert (image.size, image.mode) == (SIZE, "RGB")
    attributes = read_attributes(tmp_path / ATTRIBUTES)
    assert len(attributes.names) >= 10
    assert {"Male", "Smiling", "Black_Hair", "Eyeglasses"} <= set(attributes.names)
    assert attributes.files[0] == "000001.jpg"
    assert attributes.values.shape == (12, len(attributes.names))
    assert len(ImageFolder(tmp_path / FOLDER, (3, 64, 64), (-1, 1))) == 12


@pytest.mark.parametrize("name", FREQUENCIES)
def test_every_attribute_is_visible_at_the_size_that_is_trained_on(name: str) -> None:
    base = dict.fromkeys(FREQUENCIES, False) | {"Brown_Hair": True, "Male": name in ("Bald", "Mustache")}
    changed = base | {name: not base[name]}
    if name == "Brown_Hair":
        changed["Black_Hair"] = True
    elif name.endswith("_Hair"):
        changed["Brown_Hair"] = False
    pictures = [
        np.asarray(draw_face(has, 0, 0).resize((64, 78)).crop((0, 7, 64, 71)), np.float64) for has in (base, changed)
    ]
    assert np.abs(pictures[0] - pictures[1]).max() > 40
    assert (np.abs(pictures[0] - pictures[1]).max(axis=2) > 20).sum() >= 8


def test_attributes_are_frequent_enough_to_learn_and_exclude_each_other() -> None:
    drawn = [draw_attributes(0, index) for index in range(1000)]
    for name in FREQUENCIES:
        assert 15 < sum(face[name] for face in drawn) < 850, name
    hair = torch.tensor([[face[n] for n in ("Black_Hair", "Blond_Hair", "Brown_Hair", "Bald")] for face in drawn])
    assert (hair.sum(1) == 1).all()
