"""MNIST from IDX files in torchvision's layout, and scikit-learn's digits as its stand-in in the same layout."""

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
from reference import Batch

Split = Literal["train", "test"]
_PREFIX = {"train": "train", "test": "t10k"}
FOLDER = Path("MNIST/raw")
STAND_IN_TRAINING = 1500
# What `_contents` makes of the published files; unpacked, their SHA-256 begin with ba891046 and 65a50cbb (training
# images and labels), 0fa7898d and ff7bcfd4 (test).
_PUBLISHED = {"train": "edc0d1098aa497be", "test": "c3f9adf9c66efb57"}


class Mnist(Uint8Dataset):
    """Grey images with their digits, given in the shape and range that a card asks for.

    Args:
        root: the data root; the files are `MNIST/raw/*-ubyte` or `*-ubyte.gz` below it.
        shape: any arrangement of 784 pixels, or (1, S, S): then each image is resized as torchvision's Resize does,
            once, when it is first read.
        value_range: of the pixels.
        stand_in: the title to give the files when they are drawn. Files that aren't MNIST as published are called
            "IDX images" and are no real data, whatever their names.

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
        stand_in: str | None = None,
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
        published = digest == _PUBLISHED[split]
        self.title = stand_in or ("MNIST" if published else f"IDX images, {len(images):,}")
        self.real, self.complete = published and stand_in is None, published
        self.shape = shape
        self.value_range = value_range
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


def write_digits(root: Path) -> None:
    """Write scikit-learn's 1,797 handwritten digits (8×8, 17 grey levels) as MNIST's four files: 28×28, 256 levels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = np.round(digits.images * (255 / 16)).astype(np.uint8)
    # 20×20 in a frame of 4, as MNIST's own digits lie.
    large = np.zeros((len(small), 28, 28), np.uint8)
    for image, enlarged in zip(small, large, strict=True):
        enlarged[4:24, 4:24] = np.asarray(Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC))
    labels = digits.target.astype(np.uint8)
    (root / FOLDER).mkdir(parents=True)
    for prefix, part in (("train", slice(None, STAND_IN_TRAINING)), ("t10k", slice(STAND_IN_TRAINING, None))):
        write_idx(root / FOLDER / f"{prefix}-images-idx3-ubyte", large[part])
        write_idx(root / FOLDER / f"{prefix}-labels-idx1-ubyte", labels[part])


@functools.lru_cache(maxsize=4)
def _contents(images: Path, labels: Path, _: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int, str]:
    """The images and labels in two files, the largest value and a digest, read again only when a file has changed.

    A report's many short trainings would otherwise spend their time on unpacking the same file.
    """
    pixels, digits = read_idx(images, 3), read_idx(labels, 1)
    pixels.flags.writeable = digits.flags.writeable = False
    digest = hashlib.sha256(pixels.tobytes() + digits.tobytes()).hexdigest()[:16]
    return pixels, digits, int(pixels.max(initial=0)), digest


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"{folder} lacks {name} (or {name}.gz)")
