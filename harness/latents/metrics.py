"""What the documents claim of latent spaces, as numbers: functions from arrays to floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from harness.records.arrays import Floats

Flags = NDArray[np.bool_]
_FINER = 4


def largest_step(paths: Floats, others: Floats) -> float:
    """How far the largest step along an interpolation goes: the median over paths, in units of a random distance.

    A straight way in equal steps has 1/(steps − 1), a jump near 1.

    Args:
        paths: (paths, points, …), samples along interpolations.
        others: (n, …), independent samples; their mean distance is the unit.
    """
    if len(others) < 2 or paths.shape[1] < 2:
        raise ValueError("steps need paths of two points or more, and two samples or more beside them")
    flat = paths.reshape(*paths.shape[:2], -1)
    steps = np.linalg.norm(np.diff(flat, axis=1), axis=2)
    unit = mean_distance(others)
    return float(np.median(steps.max(axis=1)) / unit) if unit > 0 else float("nan")


def mean_distance(samples: Floats) -> float:
    """The mean Euclidean distance between neighbours in the list (n, …), which is closed to a ring."""
    flat = samples.reshape(len(samples), -1)
    return float(np.linalg.norm(flat - np.roll(flat, 1, axis=0), axis=1).mean())


def nearer_to_own(found: Floats, own: Floats) -> float:
    """The share of pairs (i, j ≠ i) in which `found[i]` is nearer to `own[i]` than to `own[j]`; both (n, …).

    1 when everything comes back; ½ when what comes back says nothing, be it constant or random. A tie counts half.
    """
    if found.shape != own.shape or len(own) < 2:
        raise ValueError(f"needs two arrays of one shape with two rows or more, not {found.shape} and {own.shape}")
    a, b = found.reshape(len(found), -1), own.reshape(len(own), -1)
    squared = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)[None]
    mine = np.diag(squared)[:, None]
    apart = ~np.eye(len(a), dtype=bool)
    return float(((mine < squared) + 0.5 * (mine == squared))[apart].mean())


def stroke_widths(images: Floats) -> Floats:
    """The mean stroke width of each image (n, H, W), ink above ½, in pixels; NaN for an image without ink.

    Four times the mean distance of ink from the blank, which for a long bar is its width. Images are enlarged fourfold
    first, so that thin strokes and grey edges count.
    """
    widths = []
    for image in images:
        fine = ndimage.zoom(np.pad(np.asarray(image, np.float64), 1), _FINER, order=1, mode="nearest", grid_mode=True)
        ink = fine > 0.5
        # The distance runs to the blank pixel's centre, half a pixel beyond the edge.
        distance = ndimage.distance_transform_edt(ink)[ink] - 0.5
        widths.append(4 * distance.mean() / _FINER if ink.any() else np.nan)
    return np.asarray(widths, np.float64)


def slants(images: Floats) -> Floats:
    """The shear of each image (n, H, W), ink as weight: columns to the right per row upwards; NaN for a blank one."""
    weights = np.clip(np.asarray(images, np.float64), 0, None)
    rows, columns = (np.arange(size, dtype=np.float64) for size in weights.shape[1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weights / weights.sum(axis=(1, 2), keepdims=True)
        y = rows[None, :, None] - (share * rows[None, :, None]).sum(axis=(1, 2), keepdims=True)
        x = columns[None, None, :] - (share * columns[None, None, :]).sum(axis=(1, 2), keepdims=True)
        return np.asarray(-(share * x * y).sum(axis=(1, 2)) / (share * y**2).sum(axis=(1, 2)))


def shared_by_row(values: Floats) -> float:
    """How much the values of one row have in common: the intraclass correlation of `values` (rows, classes).

    Each class's own mean is taken out first, as digits differ. 0 for independent values, 1 when rows are constant.
    Rows with NaN are left out.
    """
    values = values[np.isfinite(values).all(axis=1)]
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError("needs at least two rows of at least two classes, all of them finite")
    centred = values - values.mean(axis=0)
    rows, classes = centred.shape
    between = classes * centred.mean(axis=1).var(ddof=1)
    residual = centred - centred.mean(axis=1, keepdims=True)
    within = (residual**2).sum() / ((rows - 1) * (classes - 1))
    total = between + (classes - 1) * within
    return float((between - within) / total) if total > 0 else float("nan")


def error_over_mean_fill(filled: Floats, real: Floats, holes: Flags) -> float:
    """Squared error on the erased pixels, over that of filling each image's hole with the mean of its other pixels.

    All (n, C, H, W), `holes` true where erased; below 1 is better than the mean.
    """
    holes = np.broadcast_to(holes, real.shape)
    seen = np.where(holes, np.nan, real).reshape(len(real), -1)
    means = np.nanmean(seen, axis=1).reshape(-1, *(1,) * (real.ndim - 1))
    baseline = ((real - means) ** 2)[holes].mean()
    return float(((filled - real) ** 2)[holes].mean() / baseline)


def spread_over_draws(draws: Floats, where: Flags | None = None) -> float:
    """The standard deviation over draws (draws, n, …), per value, averaged (over `where` (n, …) if given)."""
    deviation = draws.std(axis=0)
    return float((deviation if where is None else deviation[np.broadcast_to(where, deviation.shape)]).mean())


def error_ratio(made: Floats, meant: Floats) -> float:
    """The mean absolute difference to what was meant, over that to what another one meant; both (n, …), n ≥ 2."""
    if len(meant) < 2:
        raise ValueError("an error ratio takes two pictures or more")
    return float(np.abs(made - meant).mean() / np.abs(made - np.roll(meant, 1, axis=0)).mean())
