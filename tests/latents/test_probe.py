from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.data.faces import write_faces
from harness.data.image_folder import ATTRIBUTES
from harness.latents.probe import Labelled, LinearProbe, labelled_digits, labelled_faces
from tests.data.test_erased import Bright


def stripes(n: int, flipped: float = 0.0) -> Labelled:
    """Images whose label says which half is bright; a share of the labels says the opposite."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, n)
    images = torch.rand(n, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * 0.5
    for image, label in zip(images, labels, strict=True):
        image[0, :, 6 * label : 6 * label + 6] += 0.5
    wrong = random.random(n) < flipped
    return Labelled(images, np.where(wrong, 1 - labels, labels), "stripes", True, "s")


def test_a_reader_reads_and_knows_how_well() -> None:
    data = stripes(400)
    probe = LinearProbe(data)
    assert probe.accuracy == 1
    assert np.array_equal(probe.predict(data.images), data.labels)
    probability = probe.probability(data.images)
    assert ((probability > 0.5) == (data.labels == 1)).all()


def test_labels_that_mean_nothing_are_not_read() -> None:
    assert LinearProbe(stripes(2000, flipped=0.5)).accuracy == pytest.approx(0.5, abs=0.08)


def test_images_of_one_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two kinds"):
        LinearProbe(Labelled(torch.rand(8, 1, 4, 4), np.zeros(8, np.int64), "dull", True, "d"))


def test_digits_need_labels() -> None:
    assert labelled_digits(Bright(), 50).labels.tolist() == torch.linspace(0, 499, 50).long().tolist()

    class Unlabelled(Bright):
        def __getitem__(self, indices):  # type: ignore[no-untyped-def]
            batch = super().__getitem__(indices)
            return type(batch)(batch.data)

    with pytest.raises(ValueError, match="bright has no class labels"):
        labelled_digits(Unlabelled(), 5)


def test_drawn_faces_attributes_are_read(tmp_path: Path) -> None:
    write_faces(tmp_path, 300, seed=0)
    faces = labelled_faces((3, 64, 64), (-1.0, 1.0), tmp_path, "Blond_Hair", 300)
    assert faces.images.shape == (300, 3, 64, 64)
    assert LinearProbe(faces).accuracy > 0.85
    with pytest.raises(ValueError, match=r"unknown attribute 'Happy'; CelebA, 300 of 202,599 has: Bald, .*Smiling"):
        labelled_faces((3, 64, 64), (-1.0, 1.0), tmp_path, "Happy", 300)
    file = tmp_path / ATTRIBUTES
    lines = file.read_text().splitlines()
    file.write_text("\n".join([str(len(lines) - 3), *lines[1:-1]]) + "\n")
    with pytest.raises(ValueError, match=r"says nothing of 000300\.jpg"):
        labelled_faces((3, 64, 64), (-1.0, 1.0), tmp_path, "Smiling", 300)
    file.unlink()
    with pytest.raises(ValueError, match="without it no attribute"):
        labelled_faces((3, 64, 64), (-1.0, 1.0), tmp_path, "Smiling", 300)
