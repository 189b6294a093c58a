"""Plots that tables can't replace."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from harness.files.figures import Picture, figure, rendered, save_picture
from harness.reporting.memory_tables import Row

_LIMIT = 1.5
_TITLE = 36  # letters of a line above a panel
_STYLES = {"documented": ("-", "s"), "measured": ("-", "o"), "estimated": ("--", "")}
_BOLD = ("the driver's figure", "reserved by PyTorch's allocator")


def save_densities(path: Path, samples: Mapping[str, NDArray[np.float64]], limit: float = _LIMIT) -> None:
    """One density picture per entry, side by side, on the square [−limit, limit]²; the document's is [−1.5, 1.5]²."""
    columns = min(4, len(samples))
    rows = -(-len(samples) // columns)
    drawn = figure(3 * columns, 3.2 * rows)
    for place, (title, points) in enumerate(samples.items(), 1):
        axes = drawn.add_subplot(rows, columns, place)
        axes.imshow(density(points, limit) ** 0.5, origin="lower", extent=(-limit, limit) * 2, cmap="viridis")
        axes.set_title("\n".join(textwrap.wrap(title, _TITLE)), fontsize=9)
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


def save_curves(path: Path, courses: Mapping[str, NDArray[Any]]) -> None:
    """Values by step, a panel for each training: arrays with the fields `step` and each value's name."""
    columns = min(3, len(courses))
    rows = -(-len(courses) // columns)
    drawn = figure(4.5 * columns, 2.8 * rows)
    for place, (title, course) in enumerate(courses.items(), 1):
        axes = drawn.add_subplot(rows, columns, place)
        for name in (course.dtype.names or ())[1:]:
            axes.plot(course["step"], course[name], linewidth=1, label=name.removeprefix("loss_"))
        axes.set_title(title, fontsize=8)
        axes.set_xlabel("step", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7)
    save_picture(path, rendered(drawn))


def save_batch_sizes(path: Path, rows: Sequence[Row], times: Mapping[str, Mapping[int, float]]) -> None:
    """Memory over batch size, documented, measured and estimated; beside it the time per image, where measured."""
    drawn = figure(12, 4.5)
    memory, time = drawn.add_subplot(1, 2, 1), drawn.add_subplot(1, 2, 2)
    colours = {spec: f"C{place}" for place, spec in enumerate(dict.fromkeys(row.reference for row in rows))}
    for row in rows:
        if not row.numbers:
            continue
        dashes, marker = _STYLES[row.status]
        faint = 1.0 if row.figure in _BOLD else 0.5
        label = f"{row.reference}: {row.figure}, {row.status}"
        memory.plot(
            list(row.numbers),
            list(row.numbers.values()),
            dashes,
            marker=marker,
            alpha=faint,
            color=colours[row.reference],
            label=label,
            markersize=4,
            linewidth=1,
        )
    for title, values in times.items():
        known = sorted(values)
        time.plot(known, [values[size] for size in known], "-o", label=title, markersize=4, linewidth=1)
    sizes = sorted({size for row in rows for size in row.values})
    for axes, title in ((memory, "memory, MiB"), (time, "time per image, ms")):
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("batch size", fontsize=8)
        axes.set_xticks([size for size in sizes if size >= max(sizes) / 8])
        axes.set_xlim(0, 1.03 * max(sizes))
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
    if memory.has_data():
        memory.legend(fontsize=6)
    if times:
        time.set_xscale("log", base=2)
        time.set_xticks(sizes, [str(size) for size in sizes])
        time.set_xlim(min(sizes[0], *(size for values in times.values() for size in values)) / 1.2, 1.2 * sizes[-1])
        time.legend(fontsize=6)
    else:
        time.text(0.5, 0.5, "not measured yet", ha="center", transform=time.transAxes)
        time.set_axis_off()
    save_picture(path, rendered(drawn))


def save_loading(path: Path, rates: Mapping[str, Mapping[str, float]], computing: float | None) -> None:
    """Pictures a second by disk and format, simulated ones hatched, and how many a step can use; logarithmic."""
    drawn = figure(9, 0.9 * len(rates) + 1.2)
    axes = drawn.add_subplot()
    forms = list(dict.fromkeys(form for values in rates.values() for form in values))
    thick = 0.8 / max(1, len(forms))
    for place, form in enumerate(forms):
        rows = [row for row, values in enumerate(rates.values()) if form in values]
        widths = [values[form] for values in rates.values() if form in values]
        bars = axes.barh([row + (place - (len(forms) - 1) / 2) * thick for row in rows], widths, thick, label=form)
        for row, bar in zip(rows, bars, strict=True):
            bar.set_hatch("//" if "simulated" in list(rates)[row] else "")
        axes.bar_label(bars, labels=[f"{width:,.0f}" for width in widths], fontsize=6, padding=2)
    if computing is not None:
        axes.axvline(computing, color="black", linestyle=":", label=f"steps here use {computing:,.3g}")
    axes.set_xscale("log")
    axes.set_xlim(right=2 * max((rate for values in rates.values() for rate in values.values()), default=1.0))
    axes.set_yticks(range(len(rates)), list(rates), fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("pictures a second", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False)
    save_picture(path, rendered(drawn))


def save_curve(path: Path, name: str, curves: Mapping[str, Mapping[int, float]]) -> None:
    """Memory (MiB) over batch size, a line for each way of knowing it."""
    drawn = figure(6, 4)
    axes = drawn.add_subplot()
    for label, values in curves.items():
        if values:
            axes.plot(*zip(*sorted(values.items()), strict=True), "-o", label=label, markersize=3, linewidth=1)
    axes.set_title(f"{name}: memory, MiB", fontsize=9)
    axes.set_xlabel("batch size", fontsize=8)
    axes.tick_params(labelsize=7)
    if axes.has_data():
        axes.legend(fontsize=7)
    save_picture(path, rendered(drawn))


def density(samples: NDArray[np.float64], limit: float, bins: int = 150) -> NDArray[np.float64]:
    """(bins, bins) smoothed density of `samples` (n, 2) on [−limit, limit]², y upwards."""
    histogram, _, _ = np.histogram2d(samples[:, 0], samples[:, 1], bins=bins, range=[[-limit, limit]] * 2, density=True)
    smoothed: NDArray[np.float64] = gaussian_filter(histogram.T, sigma=1.2)
    return smoothed
