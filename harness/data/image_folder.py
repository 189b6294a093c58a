"""Images in CelebA's layout: `celeba/img_align_celeba/*.jpg`, with or without `celeba/list_attr_celeba.txt`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from harness.data.dataset import scale_pixels
from reference import Batch

FOLDER = Path("celeba/img_align_celeba")
ATTRIBUTES = Path("celeba/list_attr_celeba.txt")
_SUFFIXES = {".jpg", ".jpeg", ".png"}


class ImageFolder:
    """RGB images from one folder, in the order of their names: shorter side resized, centre cropped, scaled.

    The transforms are the documents' (Resize, CenterCrop, ToTensor, Normalize) and give the same bits.

    Raises:
        ValueError: no images in the folder; or, when a batch is read, a file that can't be decoded, named.
    """

    in_memory = False

    def __init__(
        self,
        root: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        title: str = "CelebA",
        real: bool = True,
    ) -> None:
        folder = root / FOLDER
        if not folder.is_dir():
            raise ValueError(f"{folder} isn't a folder")
        self.files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not self.files:
            raise ValueError(f"{folder} holds no images ({', '.join(sorted(_SUFFIXES))})")
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"an image folder can be given as (3, S, S), not as {shape}")
        self.title = title
        self.real = real
        self.value_range = value_range
        listing = "\n".join(f"{file.name} {file.stat().st_size}" for file in self.files)
        self.fingerprint = f"image-folder-{len(self.files)}-" + hashlib.sha256(listing.encode()).hexdigest()[:16]
        self._resize = Resize(shape[-1], InterpolationMode.BILINEAR)
        self._crop = CenterCrop(shape[-1])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, indices: Tensor) -> Batch:
        pixels = torch.stack([self._read(self.files[index]) for index in indices.tolist()])
        return Batch(scale_pixels(pixels, self.value_range))

    def _read(self, file: Path) -> Tensor:
        try:
            with Image.open(file) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"{image.mode} pixels don't fit into 8 bits")
                cropped = self._crop(self._resize(image.convert("RGB")))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{file} can't be read as an image: {error}") from error
        return torch.from_numpy(np.array(cropped)).permute(2, 0, 1)


@dataclass(frozen=True)
class Attributes:
    """CelebA's attribute file: `values[i, j]` tells whether image `files[i]` has attribute `names[j]`."""

    names: tuple[str, ...]
    files: tuple[str, ...]
    values: Tensor


def read_attributes(path: Path) -> Attributes:
    """Read an attribute file: a count, a line of names, then per image its name and 1 or −1 for each attribute.

    Raises:
        ValueError: the file doesn't have this form, with the line at fault.
    """
    lines = path.read_text().splitlines()
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise ValueError(f"{path}, line 1: expected the number of images")
    names = tuple(lines[1].split())
    rows = [line.split() for line in lines[2:]]
    if len(rows) != int(lines[0]):
        raise ValueError(f"{path} announces {lines[0].strip()} images and lists {len(rows)}")
    for number, row in enumerate(rows, 3):
        if len(row) != len(names) + 1 or not set(row[1:]) <= {"1", "-1"}:
            raise ValueError(f"{path}, line {number}: expected a file name and {len(names)} values of 1 or -1")
    values = torch.tensor([[value == "1" for value in row[1:]] for row in rows], dtype=torch.bool)
    return Attributes(names, tuple(row[0] for row in rows), values)


def write_attributes(path: Path, attributes: Attributes) -> None:
    """Write an attribute file as CelebA's."""
    lines = [str(len(attributes.files)), " ".join(attributes.names)]
    for file, row in zip(attributes.files, attributes.values.tolist(), strict=True):
        lines.append(f"{file} " + " ".join(" 1" if value else "-1" for value in row))
    path.write_text("\n".join(lines) + "\n")
