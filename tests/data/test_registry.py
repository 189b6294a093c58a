from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

import reference
from harness.data import availability, open_dataset, registry
from harness.data.image_folder import ATTRIBUTES, FOLDER, HIGH_QUALITY_FOLDER
from harness.data.lsun import FOLDER as DATABASE
from harness.data.lsun import write_lmdb
from harness.data.mixtures import MIXTURES
from harness.data.packing import pack_of
from harness.data.registry import MissingAttributesError, data_root, faces_root, has_real_data
from harness.data.synthetic import draw_into
from harness.latents.probe import labelled_faces
from tests.data.samples import encoded, packed, write_pictures


@pytest.mark.parametrize(
    "name",
    [
        "mlp-gan-mnist",
        "handson-dcgan-mnist",
        "pytorch-dcgan-celeba",
        "idl-gan-grid",
        "handson-dcgan-lsun",
        "idl-ex4-inpainting-unet-mnist",
        "idl-ex6-pix2pix@size=64",
        "idl-ex6-pix2pix@size=64,swap",
        "style-transfer",
        "idl-pgan-celebahq512@resolution=16",
    ],
)
def test_without_a_root_there_is_always_something_that_says_what_it_is(name: str) -> None:
    card = reference.get(name).card
    data = open_dataset(card, None)
    assert data.real == (card.dataset in ("gaussian-grid", "mnist", "mnist-erased"))
    assert data.real or data.title.startswith("stand-in: ")
    assert data.complete or data.title == "MNIST, 5,000 of 60,000"
    n = min(2, len(data))
    batch = data[torch.arange(n)]
    assert batch.data.shape == (n, *card.data_shape)
    assert (batch.condition is not None) == bool(card.condition)
    assert len(data) >= card.batch_size


def test_the_real_data_win_where_they_are(mnist_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = reference.get("mlp-gan-mnist").card
    data = open_dataset(card, mnist_root)
    assert (data.title, data.real, data.complete) == ("IDX images, 40", False, False), "it lies under MNIST's names"
    monkeypatch.setattr("harness.data.mnist._PUBLISHED", {"train": data.fingerprint.rpartition("-")[2]})
    data = open_dataset(card, mnist_root)
    assert (data.title, data.real, data.complete) == ("MNIST", True, True)
    faces = open_dataset(reference.get("pytorch-dcgan-celeba").card, mnist_root)
    assert faces.title == "stand-in: drawn faces"
    assert [entry.dataset for entry in availability(mnist_root) if entry.found] == ["mnist", *MIXTURES]
    assert "40 samples" in availability(mnist_root)[0].place
    (mnist_root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"")
    damaged = availability(mnist_root)[0]
    assert (damaged.found, damaged.place.startswith("damaged: ")) == (False, True)


def test_some_other_images_are_found_and_called_what_they_are(mnist_root: Path) -> None:
    told = availability(mnist_root)[0]
    assert not told.found
    assert told.place.endswith("40 samples; IDX images, 40")
    assert not has_real_data(reference.get("mlp-gan-mnist").card, mnist_root)


@pytest.mark.parametrize(
    ("system", "title"),
    [
        ("pytorch-dcgan-celeba", "CelebA, 3 of 202,599"),
        ("idl-pgan-celebahq512@resolution=16", "CelebA-HQ, 3 of 30,000"),
        ("handson-dcgan-lsun", "LSUN bedrooms, 3 of 3,033,042"),
    ],
)
def test_a_part_of_a_published_set_is_called_a_part(system: str, title: str, tmp_path: Path) -> None:
    write_pictures(tmp_path / FOLDER, 3)
    write_pictures(tmp_path / HIGH_QUALITY_FOLDER, 3)
    write_lmdb(tmp_path / DATABASE, ((b"%d" % index, encoded(index)) for index in range(3)))
    card = reference.get(system).card
    data = open_dataset(card, tmp_path)
    assert (data.title, data.real, data.complete) == (title, True, False)
    assert not has_real_data(card, tmp_path)
    assert title in next(one.place for one in availability(tmp_path) if one.dataset == card.dataset)


def test_more_pictures_than_were_published_are_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / FOLDER, 3)
    source = dataclasses.replace(registry._SOURCES["celeba"], samples=2)
    monkeypatch.setitem(registry._SOURCES, "celeba", source)
    data = open_dataset(reference.get("pytorch-dcgan-celeba").card, tmp_path)
    assert (data.title, data.real, data.complete) == ("3 pictures in the place of CelebA", False, False)
    assert faces_root(tmp_path) == (tmp_path, "3 pictures in the place of CelebA", False)
    monkeypatch.setitem(registry._SOURCES, "celeba", dataclasses.replace(source, samples=3))
    data = open_dataset(reference.get("pytorch-dcgan-celeba").card, tmp_path)
    assert (data.title, data.real, data.complete) == ("CelebA", True, True)


def test_damaged_real_data_are_an_error_and_no_reason_for_a_stand_in(mnist_root: Path) -> None:
    (mnist_root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(ValueError, match="is truncated"):
        open_dataset(reference.get("mlp-gan-mnist").card, mnist_root)


def test_labels_that_a_reference_does_not_know_are_named(mnist_root: Path) -> None:
    file = mnist_root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + bytes([12]))
    with pytest.raises(ValueError, match="holds the label 12; idl-cond-wgan-gp-mnist knows 0 to 9"):
        open_dataset(reference.get("idl-cond-wgan-gp-mnist").card, mnist_root)
    open_dataset(reference.get("mlp-gan-mnist").card, mnist_root)


def test_unknown_data_and_roots_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = dataclasses.replace(reference.get("mlp-gan-mnist").card, dataset="imagenet")
    with pytest.raises(
        ValueError,
        match="asks for the data set 'imagenet'; there are: celeba, celeba-hq, content-and-style, gaussian-grid",
    ):
        open_dataset(card, None)
    with pytest.raises(ValueError, match="nowhere isn't a folder"):
        data_root(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds none of: MNIST/raw, celeba/img_align_celeba"):
        data_root(tmp_path)
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    monkeypatch.setenv("GAN_HARNESS_DATA", str(tmp_path))
    assert data_root(None) == tmp_path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    draw_into(tmp_path, "faces", 6, 0)
    return tmp_path


def test_an_attribute_file_of_other_pictures_is_named(faces: Path) -> None:
    labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 4)
    shutil.copy(faces / FOLDER / "000001.jpg", faces / FOLDER / "000007.jpg")
    with pytest.raises(ValueError, match=r"list_attr_celeba\.txt says nothing of 000007\.jpg$"):
        labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 4)
    for file in sorted((faces / FOLDER).iterdir()):
        file.rename(file.with_name(f"9{file.name}"))
    with pytest.raises(ValueError, match=r"list_attr_celeba\.txt says nothing of 9000001\.jpg and 6 other pictures"):
        labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 4)


def test_labels_are_found_by_name_and_not_by_place(faces: Path) -> None:
    before = labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 6)
    lines = (faces / ATTRIBUTES).read_text().splitlines()
    (faces / ATTRIBUTES).write_text("\n".join([*lines[:2], *reversed(lines[2:])]) + "\n")
    assert labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 6).labels.tolist() == before.labels.tolist()
    assert len(set(before.labels.tolist())) == 2, "else any order would do"
    (faces / FOLDER / "000002.jpg").unlink()
    expected = before.labels.tolist()
    del expected[1]
    assert labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 6).labels.tolist() == expected


def test_a_missing_attribute_file_and_an_unknown_attribute_are_named(faces: Path) -> None:
    with pytest.raises(ValueError, match="unknown attribute 'Happy'; stand-in: drawn faces has: Bald"):
        labelled_faces((3, 8, 8), (-1, 1), faces, "Happy", 4)
    (faces / ATTRIBUTES).unlink()
    with pytest.raises(MissingAttributesError, match=r"has no celeba/list_attr_celeba\.txt"):
        labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 4)
    assert len(open_dataset(reference.get("pytorch-dcgan-celeba").card, faces)) == 6, "training needs no attributes"


@pytest.mark.parametrize("content", [b"1\nMale\ncaf\xe9.jpg 1\n", "²\nMale\na.jpg 1\na.jpg 1\n".encode()])
def test_an_attribute_file_that_is_no_text_is_named(content: bytes, faces: Path) -> None:
    (faces / ATTRIBUTES).write_bytes(content)
    with pytest.raises(ValueError, match=r"list_attr_celeba\.txt"):
        labelled_faces((3, 8, 8), (-1, 1), faces, "Male", 4)


def test_doctor_names_a_pack_and_says_what_is_wrong_with_one(faces: Path) -> None:
    packed(faces / FOLDER, pack_of(faces / FOLDER, 64), 64)
    (told,) = [one for one in availability(faces) if one.dataset == "celeba"]
    assert "packed: img_align_celeba-64x64.safetensors" in told.place
    pack_of(faces / FOLDER, 64).write_bytes(b"no pack")
    (told,) = [one for one in availability(faces) if one.dataset == "celeba"]
    assert told.place.startswith("damaged: ")
    assert "img_align_celeba-64x64.safetensors isn't a pack" in told.place
