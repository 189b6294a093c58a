"""Picture files to pixels: decoded once and in one way, whatever they are stored in."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import torch
from PIL import Image, features
from torch import Tensor

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
# Pictures too, which none of the data sets has: left where they are, they would be left out without a word.
_OTHER_PICTURES = {".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".jp2", ".ppm", ".pgm"}
_COLOURED = {"RGB", "RGBA", "P"}
# What Windows leaves in folders that somebody has looked at; others hide theirs behind a dot.
_DROPPINGS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_GREY = {"1": "black and white", "L": "grey", "LA": "grey"}


class UnreadablePictureError(ValueError):
    """One picture can't be used; others may be."""


def picture_files(folder: Path, *, strangers: bool = False) -> list[Path]:
    """The picture files in `folder`, in the order of their names.

    Args:
        strangers: leave out what is no picture instead of refusing it. Hidden files are always left out.

    Raises:
        ValueError: no such folder, no pictures in it, or something else among them, named.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} isn't a folder")
    names = sorted(name for name in os.listdir(folder) if not name.startswith(".") and name.lower() not in _DROPPINGS)
    pictures = [name for name in names if os.path.splitext(name)[1].lower() in SUFFIXES]
    known = ", ".join(sorted(SUFFIXES))
    if not pictures:
        inside = [name for name in names if (folder / name).is_dir()]
        hint = f"; it holds the folder {inside[0]}: name the one that holds the pictures" if inside else ""
        if folder.name in inside:
            hint = (
                f"; it holds another folder {folder.name}, as if unpacked twice: move what is in there up into this one"
            )
        raise ValueError(f"{folder} holds no images ({known}){hint}")
    unread = [name for name in names if os.path.splitext(name)[1].lower() in _OTHER_PICTURES]
    unread += [name for name in names if (folder / name).is_dir() and _holds_pictures(folder / name)]
    if unread and strangers:
        what = "a folder of more pictures" if (folder / unread[0]).is_dir() else f"a picture of another kind ({known})"
        more = f", as are {len(unread) - 1} more" if len(unread) > 1 else ""
        raise ValueError(f"{folder / unread[0]} is {what}{more}: move it out, or convert it")
    if len(pictures) < len(names) and not strangers:
        others = sorted(set(names) - set(pictures))
        more = f" and {len(others) - 1} more such" if len(others) > 1 else ""
        raise ValueError(f"{folder / others[0]}{more} is no picture ({known}): move it out of the folder")
    return [folder / name for name in pictures]


def _holds_pictures(folder: Path) -> bool:
    return any(os.path.splitext(name)[1].lower() in SUFFIXES | _OTHER_PICTURES for name in os.listdir(folder))


def read_rgb(source: Path | BinaryIO, name: str = "", *, grey: bool = False) -> Image.Image:
    """A picture in RGB; `name` says what it is where `source` isn't a file, `grey` that it may have one channel.

    Raises:
        UnreadablePictureError: it can't be decoded, or isn't one coloured picture of 8 bits a channel, named.
    """
    shown = name or str(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                _check(image, grey)
                return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        said = str(error).replace(repr(source), "it")
        raise UnreadablePictureError(f"{shown} can't be read as an image: {said}") from error


def _check(image: Image.Image, grey: bool) -> None:
    """Refuse what `convert` would change without a word."""
    # Pillow gives 16 bits a channel as 8; the raw mode of what it is about to decode tells.
    if image.mode.startswith(("I", "F")) or any(";16" in str(tile) for tile in getattr(image, "tile", ())):
        raise ValueError(f"{image.mode} pixels of more than 8 bits a channel don't fit into 8")
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError(f"it is animated, {getattr(image, 'n_frames', 1)} pictures in one")
    if image.mode in _GREY and not grey:
        raise ValueError(f"it is {_GREY[image.mode]}, and three channels are asked for; convert it to RGB first")
    if image.mode not in _COLOURED and image.mode not in _GREY:
        raise ValueError(f"its colours are {image.mode}; convert it to RGB first")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ValueError("it is transparent in places, and which colour lies below is chance; flatten it to RGB first")


def pixels(image: Image.Image) -> Tensor:
    """(3, H, W) uint8."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def stacked(pictures: Sequence[Tensor]) -> Tensor:
    """(B, 3, H, W) of pictures (3, H, W), copied on one core as `scale_pixels` computes."""
    return torch.from_numpy(np.stack([picture.numpy() for picture in pictures]))


class Framing:
    """Shorter side resized to `side`, centre cropped: the documents' Resize and CenterCrop, with their bits."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"pictures can be given as (3, S, S), not as {shape}")
        from torchvision.transforms import CenterCrop, InterpolationMode, Resize  # brings TorchDynamo: two seconds

        self.shape = shape
        self._resize = Resize(shape[-1], InterpolationMode.BILINEAR)
        self._crop = CenterCrop(shape[-1])

    def __call__(self, image: Image.Image) -> Tensor:
        """(3, S, S) uint8."""
        return pixels(self._crop(self._resize(image)))

    def described(self) -> dict[str, str]:
        """What decides the pixels, in words: the transform, and who decodes and resizes."""
        decoders = {name: features.version(name) or "none" for name in ("libjpeg_turbo", "webp", "zlib")}
        return {
            "resize": f"shorter side to {self.shape[-1]}, bilinear with antialiasing",
            "crop": f"centre, {self.shape[-1]}×{self.shape[-1]}",
            "Pillow": PIL.__version__,
            **decoders,
        }
