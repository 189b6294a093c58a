from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import reference
from harness.data import availability, open_dataset
from harness.data.catalogue import data_root


@pytest.mark.parametrize(
    "name",
    [
        "mlp-gan-mnist", "handson-dcgan-mnist", "pytorch-dcgan-celeba", "idl-gan-grid", "handson-dcgan-lsun",
        "idl-ex4-inpainting-unet-mnist", "idl-ex6-pix2pix@size=64", "idl-ex6-pix2pix@size=64,swap", "style-transfer",
        "idl-pgan-celebahq512@resolution=16",
    ],
)  # fmt: skip
def test_without_a_root_there_is_always_something_that_says_what_it_is(name: str) -> None:
    card = reference.get(name).card
    data = open_dataset(card, None)
    assert data.real == (card.dataset == "gaussian-grid")
    assert data.real or data.title.startswith("stand-in: ")
    n = min(2, len(data))
    batch = data[torch.arange(n)]
    assert batch.data.shape == (n, *card.data_shape)
    assert (batch.condition is not None) == bool(card.condition)
    assert len(data) >= card.batch_size


def test_the_real_data_win_where_they_are(mnist_root: Path) -> None:
    card = reference.get("mlp-gan-mnist").card
    assert open_dataset(card, mnist_root).title == "MNIST"
    faces = open_dataset(reference.get("pytorch-dcgan-celeba").card, mnist_root)
    assert faces.title == "stand-in: drawn faces"
    assert [entry.dataset for entry in availability(mnist_root) if entry.found] == ["mnist", "gaussian-grid"]
    assert "40 samples" in availability(mnist_root)[0].place
    (mnist_root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(b"")
    damaged = availability(mnist_root)[0]
    assert (damaged.found, damaged.place.startswith("damaged: ")) == (False, True)


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
