from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from harness.reporting.plots import density, save_densities


def test_density_lies_as_plotted() -> None:
    found = density(np.full((100, 2), (1.0, -1.0)), 1.5)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert row < 75 < column


def test_every_sampler_gets_its_panel(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(200, 2))
    for n in (1, 4, 7):
        save_densities(tmp_path / f"{n}.png", {f"sampler {i}": points for i in range(n)})
    sizes = []
    for n in (1, 4, 7):
        with Image.open(tmp_path / f"{n}.png") as image:
            sizes.append(image.size)
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]
