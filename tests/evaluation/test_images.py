from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.evaluation.images import as_images, check_varied, read_images, to_bytes, write_images


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_every_level_survives(value_range: tuple[float, float]) -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    low, high = value_range
    assert torch.equal(to_bytes(levels.float() / 255 * (high - low) + low, value_range), levels)


def test_the_scale_is_the_declared_ranges_and_not_the_samples_own() -> None:
    grey = torch.full((2, 1, 4, 4), 0.5)
    assert to_bytes(grey, (0.0, 1.0)).unique().tolist() == [128]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.full((3, 784), float("nan")), "3 of 3 images hold NaN"),
        (torch.full((3, 1, 4, 4), 1.2), "pixels from 1.2 to 1.2 don't fit the declared range 0 to 1"),
        (torch.full((3, 1, 4, 4), -1.0), "declared range"),
        (torch.zeros(3, 2), "images are"),
        (torch.zeros(3, 2, 8, 8), "C 1 or 3"),
        (torch.zeros(0, 1, 8, 8), "images are"),
    ],
)
def test_what_is_no_image_is_refused(samples: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        to_bytes(samples, (0.0, 1.0))


@pytest.mark.parametrize("shape", [(5, 784), (5, 28, 28), (5, 1, 28, 28), (5, 3, 28, 28)])
def test_arrangements_of_images(shape: tuple[int, ...]) -> None:
    assert as_images(torch.zeros(shape)).shape[2:] == (28, 28)


def test_a_set_without_variety_is_refused() -> None:
    same = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8).expand(4, -1, -1, -1)
    with pytest.raises(ValueError, match="all 4 images are the same"):
        check_varied(same, "they")
    flat = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    with pytest.raises(ValueError, match="one even colour"):
        check_varied(flat, "they")


def test_pictures_come_back_as_they_were_written(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (3, 3, 9, 7), dtype=torch.uint8)
    write_images(tmp_path, images)
    assert torch.equal(read_images(tmp_path), images)


def test_pictures_of_several_sizes_are_refused_by_name(tmp_path: Path) -> None:
    for name, side in (("a", 8), ("b", 9)):
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"b\.png has 9×9 pixels, those before it 8×8"):
        read_images(tmp_path)
