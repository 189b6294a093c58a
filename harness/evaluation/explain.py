"""Why is my FID different? The same images through what others do otherwise, one thing at a time.

FIDs of one generator differ by the resizing filter, by what JPEG has left, by n, by which real images stand on the
other side, and by who looks; hardly ever by how many images are looked at at once, which is shown all the same.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from harness.data.dataset import linspace_indices
from harness.evaluation.extractors.extractor import Extractor
from harness.evaluation.metrics import extrapolated_frechet_distance, frechet_distance
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)

QUALITIES = (95, 90, 75)
_FILTERS = {
    "bilinear, antialiased (Pillow)": Image.Resampling.BILINEAR,
    "bicubic, antialiased (Pillow)": Image.Resampling.BICUBIC,
    "Lanczos (Pillow)": Image.Resampling.LANCZOS,
    "nearest neighbour": Image.Resampling.NEAREST,
}
_PARTS = (2, 4)  # of n, as long as there are more of them than dimensions
_BATCHES = (16, 200)
EXPLAINED = 0.2  # of the difference may be left

_Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Alternative:
    """One thing done otherwise, and the FID that comes of it."""

    what: str
    how: str
    fid: float


@dataclass(frozen=True)
class Explanation:
    """`usual` is the FID as the harness has it; `alternatives` what came of everything else."""

    usual: float
    alternatives: tuple[Alternative, ...]

    def nearest(self, other: float) -> tuple[Alternative, bool] | None:
        """What comes nearest to another figure, and whether it leaves a fifth of the difference at most.

        None where nothing comes nearer than the usual figure does.
        """
        apart = abs(other - self.usual)
        best = min(self.alternatives, key=lambda alternative: abs(alternative.fid - other), default=None)
        if best is None or abs(best.fid - other) >= apart:
            return None
        return best, abs(best.fid - other) <= EXPLAINED * apart


@dataclass(frozen=True)
class Sides:
    """uint8 images (n, C, H, W): generated ones, as many real ones, and further real ones by what they are."""

    generated: Tensor
    real: Tensor
    others: dict[str, Tensor]


def explain(sides: Sides, extractor: Extractor, further: Sequence[Extractor] = ()) -> Explanation:
    """The FID of the images as they are, and with one thing after another done otherwise.

    `further` are other extractors, whose figures are on other scales.

    Raises:
        ValueError: too few images for the extractor's features.
    """

    def looked(images: Tensor) -> Tensor:
        return extractor(images)[0]

    generated, real = looked(sides.generated), looked(sides.real)
    usual = frechet_distance(generated, real)
    alternatives: list[Alternative] = []
    changes = list(_changes(sides.generated, extractor))
    for number, (what, how, change) in enumerate(changes):
        report_progress(_log, "trying", number, len(changes), detail=f"{what}: {how}")
        one, other = looked(change(sides.generated)), looked(change(sides.real))
        alternatives.append(Alternative(what, f"{how}, both sides", frechet_distance(one, other)))
        alternatives.append(Alternative(what, f"{how}, generated images alone", frechet_distance(one, real)))
        alternatives.append(Alternative(what, f"{how}, real images alone", frechet_distance(generated, other)))
    alternatives += _by_number(generated, real)
    alternatives += [
        Alternative("real images", name, frechet_distance(generated, looked(images)))
        for name, images in sides.others.items()
        if len(images) > extractor.dimension
    ]
    for size in _BATCHES:
        one, other = (replace(extractor, batch=size)(images)[0] for images in (sides.generated, sides.real))
        alternatives.append(
            Alternative("images at once", f"{size} instead of {extractor.batch}", frechet_distance(one, other))
        )
    for another in further:
        if min(len(sides.generated), len(sides.real)) > another.dimension:
            one, other = (another(images)[0] for images in (sides.generated, sides.real))
            alternatives.append(Alternative("extractor", another.name, frechet_distance(one, other)))
    return Explanation(usual, tuple(alternatives))


def _changes(images: Tensor, extractor: Extractor) -> Iterator[tuple[str, str, _Change]]:
    """What is done to images before anybody looks at them."""
    side = extractor.side
    if tuple(images.shape[2:]) != (side, side):
        for name, resampling in _FILTERS.items():
            yield f"resizing to {side}×{side}", name, _resizing(side, resampling)
        yield f"resizing to {side}×{side}", "bilinear, not antialiased (PyTorch)", _plain_resizing(side)
    for quality in QUALITIES:
        yield "JPEG", f"quality {quality}", _jpeg(quality)
    yield "rounding", "towards 0 instead of to the nearest of 256 levels, simulated", _darker


def _by_number(generated: Tensor, real: Tensor) -> Iterator[Alternative]:
    n, dimension = generated.shape
    for part in _PARTS:
        few = n // part
        if few > dimension:
            one, other = (rows[linspace_indices(n, few)] for rows in (generated, real))
            yield Alternative("n", f"{few} a side", frechet_distance(one, other))
            yield Alternative("n", f"{few} generated against all real ones", frechet_distance(one, real))
    if n >= 2 * dimension:
        yield Alternative(
            "n", "endlessly many generated ones, extrapolated", extrapolated_frechet_distance(generated, real)
        )


def _resizing(side: int, resampling: Image.Resampling) -> _Change:
    return lambda images: _each(images, lambda picture: picture.resize((side, side), resampling))


def _plain_resizing(side: int) -> _Change:
    def resized(images: Tensor) -> Tensor:
        values = interpolate(images.float(), (side, side), mode="bilinear", align_corners=False)
        return values.round().clamp(0, 255).byte()

    return resized


def _jpeg(quality: int) -> _Change:
    def stored(picture: Image.Image) -> Image.Image:
        kept = io.BytesIO()
        picture.save(kept, "JPEG", quality=quality)
        return Image.open(kept)

    return lambda images: _each(images, stored)


def _darker(images: Tensor) -> Tensor:
    """What comes of values that were cut off instead of rounded: half a level less on average."""
    half = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    return (images.int() - half.int()).clamp(0, 255).byte()


def _each(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Every image (C, H, W) as Pillow's picture, changed, and back."""
    made = []
    for image in images:
        grey = image.shape[0] == 1
        picture = Image.fromarray(image[0].numpy() if grey else image.permute(1, 2, 0).contiguous().numpy())
        found = torch.from_numpy(np.array(change(picture)))
        made.append(found[None] if grey else found.permute(2, 0, 1))
    return torch.stack(made)
