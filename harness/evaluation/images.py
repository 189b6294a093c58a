"""Samples to the bytes that feature extractors look at, by a fixed scale; and what is no set of images at all."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from harness.data.images import Framing, picture_files, pixels, read_rgb

BYTES = (0.0, 255.0)  # black and white of images as files hold them
_SEEN, _STRAY = 2_000_000, 1000  # values looked at, and one in how many may be anything
_SLACK = 1e-3  # of the declared range: rounding, not another range


def to_bytes(samples: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Samples in the declared range as uint8 images (n, C, H, W), C 1 or 3, rounded to the nearest level.

    The scale is the declared range's, never that of the samples' own extremes.

    Args:
        samples: (n, H·W) of square images, (n, H, W) or (n, C, H, W).
        value_range: the values of black and white.

    Raises:
        ValueError: no images, NaN or infinite values, or values outside the declared range.
    """
    images = as_images(samples)
    if not bool(images.isfinite().all()):
        broken = int((~images.flatten(1).isfinite().all(1)).sum())
        raise ValueError(f"{broken} of {len(images)} images hold NaN or infinite values")
    low, high = value_range
    least, most = float(images.min()), float(images.max())
    slack = _SLACK * (high - low)
    if least < low - slack or most > high + slack:
        raise ValueError(f"pixels from {least:.4g} to {most:.4g} don't fit the declared range {low:g} to {high:g}")
    return ((images.float() - low) / (high - low)).mul(255).round().clamp(0, 255).byte()


def check_range(samples: Tensor, value_range: tuple[float, float], what: str) -> None:
    """Refuse values that use half of their range or less, or two values alone: they may well mean something else.

    Raises:
        ValueError: they do, with what was seen; `what` names them.
    """
    if seen := little_used(samples, value_range):
        low, high = value_range
        raise ValueError(
            f"{what}: {seen}, where black is {low:g} and white {high:g}: say what they mean with --range LOW,HIGH"
        )


def little_used(samples: Tensor, value_range: tuple[float, float]) -> str:
    """What is seen of values that use half of their range or less, or two values alone; "" of others.

    A thousandth of them at either end plays no part: a stray pixel is no range.
    """
    low, high = value_range
    least, most = float(samples.min()), float(samples.max())
    if not least < most:  # one even colour, of which others speak
        return ""
    if bool(((samples == least) | (samples == most)).all()):
        return f"the values {least:.4g} and {most:.4g} alone"
    flat = samples.flatten()
    some = flat[:: max(1, len(flat) // _SEEN)].float().sort().values
    inner = float(some[len(some) // _STRAY]), float(some[-1 - len(some) // _STRAY])
    half = (high - low) / 2 + _SLACK * (high - low)
    if most - least <= half:
        return f"values from {least:.4g} to {most:.4g}"
    if inner[0] < inner[1] and inner[1] - inner[0] <= half:
        return f"but for stray ones, values from {inner[0]:.4g} to {inner[1]:.4g}"
    return ""


def as_images(samples: Tensor) -> Tensor:
    """(n, C, H, W) from (n, H·W) of square images, (n, H, W) or (n, C, H, W).

    Raises:
        ValueError: another shape, or no samples.
    """
    shape = tuple(samples.shape)
    side = math.isqrt(shape[1]) if len(shape) == 2 else 0
    if len(shape) == 2 and side > 1 and side * side == shape[1]:
        samples = samples.view(-1, 1, side, side)
    elif len(shape) == 3:
        samples = samples[:, None]
    if samples.dim() != 4 or samples.shape[1] not in (1, 3) or not samples.numel():
        raise ValueError(f"images are (n, H·W) squares, (n, H, W) or (n, C, H, W) with C 1 or 3, not {shape}")
    return samples


def check_varied(images: Tensor, what: str) -> None:
    """Refuse a set of images in which there is nothing to measure.

    Raises:
        ValueError: every image is of one even colour, or all are the same; `what` names them.
    """
    flat = images.flatten(1)
    if bool((flat == flat[:, :1]).all()):
        raise ValueError(f"{what}: all {len(images)} images are of one even colour: there is nothing to measure")
    if len(images) > 1 and bool((flat == flat[:1]).all()):
        raise ValueError(f"{what}: all {len(images)} images are the same: there is nothing to measure")


def read_images(folder: Path, framing: Framing | None = None) -> Tensor:
    """The pictures in a folder, in the order of their names, as uint8 (n, 3, H, W); each brought to a size, if asked.

    Raises:
        ValueError: no such folder, no pictures, one that can't be read, or pictures of several sizes.
    """
    read: list[Tensor] = []
    for file in picture_files(folder, strangers=True):
        picture = read_rgb(file, grey=True)
        image = pixels(picture) if framing is None else framing(picture)
        if read and image.shape != read[0].shape:
            sizes = [f"{one.shape[2]}×{one.shape[1]}" for one in (image, read[0])]
            raise ValueError(
                f"{file} has {sizes[0]} pixels, those before it {sizes[1]}: one set has one size, and "
                "--resize N makes it so"
            )
        read.append(image)
    return torch.stack(read)


def write_images(folder: Path, images: Tensor) -> None:
    """Write uint8 images (n, C, H, W) as numbered PNG files, which lose nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(pixels).save(folder / f"{index:06d}.png")
