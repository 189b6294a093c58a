"""Plots that tables can't replace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from harness.canvas import Picture, figure, rendered, save_picture

_LIMIT = 1.5


def save_densities(path: Path, samples: Mapping[str, NDArray[np.float64]]) -> None:
    """One density picture per entry, side by side, on the document's square [−1.5, 1.5]²."""
    columns = min(4, len(samples))
    rows = -(-len(samples) // columns)
    drawn = figure(3 * columns, 3.2 * rows)
    for place, (title, points) in enumerate(samples.items(), 1):
        axes = drawn.add_subplot(rows, columns, place)
        axes.imshow(density(points, _LIMIT) ** 0.5, origin="lower", extent=[-_LIMIT, _LIMIT] * 2, cmap="viridis")
        axes.set_title(title, fontsize=9)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
    drawn.suptitle("density (square root), 10,000 points each", fontsize=9)
    save_picture(path, rendered(drawn))


def save_strips(path: Path, strips: Mapping[str, Picture]) -> None:
    """One strip of generated images per entry, one below the other."""
    drawn = figure(10, 0.85 * len(strips) + 0.2)
    for place, (title, picture) in enumerate(strips.items(), 1):
        axes = drawn.add_subplot(len(strips), 1, place)
        axes.imshow(picture)
        axes.set_title(title, fontsize=7, loc="left", pad=2)
        axes.set_axis_off()
    save_picture(path, rendered(drawn))


def density(samples: NDArray[np.float64], limit: float, bins: int = 150) -> NDArray[np.float64]:
    """(bins, bins) smoothed density of `samples` (n, 2) on [−limit, limit]², y upwards."""
    histogram, _, _ = np.histogram2d(samples[:, 0], samples[:, 1], bins=bins, range=[[-limit, limit]] * 2, density=True)
    smoothed: NDArray[np.float64] = gaussian_filter(histogram.T, sigma=1.2)
    return smoothed
