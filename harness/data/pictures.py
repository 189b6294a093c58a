"""Picture files to pixels: decoded once and in one way, whatever they are stored in."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def picture_files(folder: Path) -> list[Path]:
    """The picture files in `folder`, in the order of their names.

    Raises:
        ValueError: no such folder, or no pictures in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} isn't a folder")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))})")
    return files


def read_rgb(source: Path | BinaryIO, name: str = "") -> Image.Image:
    """A picture in RGB; `name` says what it is where `source` isn't a file.

    Raises:
        ValueError: it can't be decoded, named.
    """
    shown = name or str(source)
    try:
        with Image.open(source) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"{image.mode} pixels don't fit into 8 bits")
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{shown} can't be read as an image: {error}") from error


def pixels(image: Image.Image) -> Tensor:
    """(3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


class Framing:
    """Shorter side resized to `side`, centre cropped: the documents' Resize and CenterCrop, with their bits."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"pictures can be given as (3, S, S), not as {shape}")
        self._resize = Resize(shape[-1], InterpolationMode.BILINEAR)
        self._crop = CenterCrop(shape[-1])

    def __call__(self, image: Image.Image) -> Tensor:
        """(3, S, S) uint8."""
        return pixels(self._crop(self._resize(image)))
