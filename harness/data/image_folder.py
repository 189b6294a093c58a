"""Images in one folder, in CelebA's layout: `celeba/img_align_celeba/*.jpg` and `celeba/list_attr_celeba.txt`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from harness.data.content import digest_of_files
from harness.data.dataset import Uint8Dataset
from harness.data.images import Framing, UnreadablePictureError, picture_files, read_rgb, stacked
from harness.data.storage import Disk, OwnDisk
from reference import Batch

FOLDER = Path("celeba/img_align_celeba")
ATTRIBUTES = Path("celeba/list_attr_celeba.txt")
HIGH_QUALITY_FOLDER = Path("celeba_hq")


class ImageFolder(Uint8Dataset):
    """RGB images from one folder, in the order of their names: shorter side resized, centre cropped, scaled.

    Args:
        complete: these are all there are, and not some of them.
        disk: what the files are read from.

    Raises:
        ValueError: no images in the folder, or something else; or, when a batch is read, a file that isn't a coloured
            picture of 8 bits a channel, named.
    """

    in_memory = False

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        title: str = "CelebA",
        real: bool = True,
        complete: bool = True,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self.files = picture_files(folder)
        self.title = title
        self.real, self.complete = real, complete
        self.value_range = value_range
        self.framing = Framing(shape)
        self._disk = disk or OwnDisk()

    @cached_property
    def fingerprint(self) -> str:
        """Changes with a picture's name or bytes."""
        return pictures_fingerprint(self.folder, self.files)

    def __len__(self) -> int:
        return len(self.files)

    def pixels(self, indices: Tensor) -> Batch:
        """The images at `indices`, (B, 3, S, S) uint8."""
        return Batch(stacked([self._read(self.files[index]) for index in indices.tolist()]))

    def name(self, index: int) -> str:
        """What image `index` is called where it is stored."""
        return self.files[index].name

    def _read(self, file: Path) -> Tensor:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UnreadablePictureError(f"{file} can't be read as an image: {error.strerror}") from error
        self._disk.wait(file, 0, len(content))
        return self.framing(read_rgb(io.BytesIO(content), str(file)))


def pictures_fingerprint(folder: Path, files: Sequence[Path]) -> str:
    """What the fingerprint of the pictures in a folder is."""
    return f"pictures-{digest_of_files(folder, files)}"


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
    try:
        # Some editors leave a mark before the text, or lines after it.
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} isn't a text: {error}") from error
    if len(lines) < 2 or not lines[0].strip().isdecimal():
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
