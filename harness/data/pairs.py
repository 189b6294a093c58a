"""Paired images as pix2pix' data sets hold them: `pairs/train/*.jpg`, two squares side by side in each file."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image, ImageChops, ImageFilter
from torch import Tensor

from harness.data.content import digest_of_files
from harness.data.dataset import scale_pixels, seeded
from harness.data.faces import draw_attributes, draw_face
from harness.data.images import picture_files, pixels, read_rgb
from harness.records.progress import report_progress
from reference import Batch

_log = logging.getLogger(__name__)

FOLDER = Path("pairs/train")
JITTER = 286 / 256
PAIRS_VERSION = 1
SIDE = 256


class PairedImages:
    """`condition` is the left half of each file, `data` the right one (the other way round with `swapped`).

    Indexing resizes both to the side asked for. `draw` jitters as the paper does: both resized to 286/256 of the side,
    cropped back at the same random place, and mirrored half of the time.

    Raises:
        ValueError: no images, a side that isn't square; or, when a batch is read, a file that isn't a pair, named.
    """

    in_memory = False
    complete = True

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        *,
        swapped: bool = False,
        title: str = "",
        real: bool = True,
    ) -> None:
        if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2]:
            raise ValueError(f"paired images can be given as (3, S, S), not as {shape}")
        self.folder = folder
        self.files = picture_files(folder)
        self.side = shape[-1]
        self.value_range = value_range
        self.swapped = swapped
        self.title = title or "paired images"
        self.real = real

    @cached_property
    def fingerprint(self) -> str:
        """Changes with a pair's name or bytes, and with the direction."""
        way = "swapped-" if self.swapped else ""
        return f"pairs-{way}{len(self.files)}-{digest_of_files(self.folder, self.files)}"

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, indices: Tensor) -> Batch:
        return self._batch([self._halves(index, self.side) for index in indices.tolist()])

    def draw(self, indices: Tensor, seed: int) -> Batch:
        """The samples at `indices`, jittered and mirrored as follows from `seed`."""
        large = round(self.side * JITTER)
        jittered = []
        with seeded(seed):
            for index in indices.tolist():
                top, left = (int(torch.randint(large - self.side + 1, ())) for _ in range(2))
                mirrored = bool(torch.rand(()) < 0.5)
                halves = [
                    half[:, top : top + self.side, left : left + self.side] for half in self._halves(index, large)
                ]
                jittered.append([half.flip(-1) if mirrored else half for half in halves])
        return self._batch(jittered)

    def _halves(self, index: int, side: int) -> list[Tensor]:
        """The two pictures of one file, each (3, side, side) uint8."""
        file = self.files[index]
        image = read_rgb(file)
        width, height = image.size
        if width % 2:
            raise ValueError(f"{file} is {width} pixels wide: an odd width can't hold two pictures side by side")
        if width != 2 * height:
            raise ValueError(f"{file} isn't a pair: {width}×{height} pixels aren't two squares side by side")
        boxes = ((0, 0, height, height), (height, 0, width, height))
        return [
            pixels(image.crop(box).resize((side, side), Image.Resampling.BICUBIC))
            for box in (reversed(boxes) if self.swapped else boxes)
        ]

    def _batch(self, halves: list[list[Tensor]]) -> Batch:
        condition, data = (torch.stack(one) for one in zip(*halves, strict=True))
        return Batch(scale_pixels(data, self.value_range), None, scale_pixels(condition, self.value_range))


def outline(picture: Image.Image) -> Image.Image:
    """Black lines on white where neighbouring tones differ."""
    grey = picture.convert("L")
    difference = ImageChops.subtract(grey.filter(ImageFilter.MaxFilter(3)), grey.filter(ImageFilter.MinFilter(3)))
    return difference.point(lambda step: 0 if step > 18 else 255).convert("RGB")


def write_drawn_pairs(root: Path, n: int, seed: int) -> None:
    """Write `n` drawn faces, each beside its outline, in the layout of pix2pix' data sets."""
    (root / FOLDER).mkdir(parents=True)
    for index in range(n):
        face = draw_face(draw_attributes(seed, index), seed, index)
        square = face.crop((0, 20, 178, 198)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pair = Image.new("RGB", (2 * SIDE, SIDE))
        pair.paste(outline(square), (0, 0))
        pair.paste(square, (SIDE, 0))
        pair.save(root / FOLDER / f"{index + 1}.jpg", quality=92)
        report_progress(_log, "drawing pairs", index + 1, n)
