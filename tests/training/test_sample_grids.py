from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.files.figures import save_picture
from harness.training.sample_grids import picture_of, save_animation


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 28, 28), (3, 16, 16), (2,)])
def test_every_shape_of_samples_becomes_a_picture(shape: tuple[int, ...]) -> None:
    picture = picture_of(torch.rand(7, *shape), (0, 1))
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert picture.dtype == np.uint8


def test_pixels_are_scaled_from_the_fixed_range_only() -> None:
    dim = torch.full((1, 1, 4, 4), 0.25)
    assert picture_of(dim, (0, 1))[3, 3, 0] == 64
    assert picture_of(dim, (-1, 1))[3, 3, 0] == 159
    brighter = torch.cat([dim, torch.ones(1, 1, 4, 4)])
    assert picture_of(brighter, (0, 1))[4, 4, 0] == 64, "another image in the batch changes nothing"


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="neither points nor images"):
        picture_of(torch.rand(3, 7), (0, 1))


def test_long_animations_are_thinned_and_end_with_the_end(tmp_path: Path) -> None:
    files = []
    for index in range(250):
        files.append(tmp_path / f"step-{index:08d}.png")
        save_picture(files[-1], np.full((4, 4, 3), index, np.uint8))
    save_animation(tmp_path / "all.gif", files)
    with Image.open(tmp_path / "all.gif") as image:
        assert image.n_frames == 100  # type: ignore[attr-defined]
        image.seek(99)
        assert image.convert("L").getpixel((0, 0)) == 249
    save_animation(tmp_path / "none.gif", [])
    assert not (tmp_path / "none.gif").exists()
