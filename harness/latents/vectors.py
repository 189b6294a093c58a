"""Arithmetic on latent vectors, as the documents do it: pure functions on arrays (n, …), and files that hold them.

Sources: document 000 (saved vectors, interpolation with ends, vector arithmetic), document 004, sections 9.6.2 and
9.6.3 (interpolation at midpoints, semantic vectors).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from harness.files.tensors import SafetensorError, read_tensors, write_tensors
from harness.files.writing import write_text
from harness.latents.options import Interpolation
from harness.records.arrays import Floats


def interpolate(first: Floats, second: Floats, n: int, way: Interpolation) -> Floats:
    """`n` vectors between two, as (n, *shape).

    `ends` goes from the first to the second in equal steps, both included (document 000). `midpoints` takes the shares
    (i + ½)/n *of the first*, as document 004 mixes them, and so comes from the second's side. `spherical` goes along
    the great circle, both ends included, the lengths changing evenly.

    Raises:
        ValueError: vectors of different shapes, fewer than two steps, or an unknown way.
    """
    if first.shape != second.shape:
        raise ValueError(f"two vectors of one shape can be interpolated, not {first.shape} and {second.shape}")
    if n < 2:
        raise ValueError(f"an interpolation takes 2 steps or more, not {n}")
    match way:
        case "ends":
            between = interp1d([0, 1], np.stack([first, second]), axis=0)
            return np.asarray(between(np.linspace(0, 1, n)), np.float64)
        case "midpoints":
            shares = ((np.arange(n) + 0.5) / n).reshape(-1, *(1,) * first.ndim)
            return np.asarray(shares * first + (1 - shares) * second)
        case "spherical":
            return _spherical(first, second, np.linspace(0, 1, n))
    raise ValueError(f"unknown interpolation {way!r}; there are: {', '.join(get_args(Interpolation))}")


def _spherical(first: Floats, second: Floats, shares: Floats) -> Floats:
    a, b = first.ravel(), second.ravel()
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if not all(lengths):
        raise ValueError("a vector of zeros has no direction to interpolate from")
    cosine = np.clip(a @ b / (lengths[0] * lengths[1]), -1, 1)
    angle = np.arccos(cosine)
    if np.pi - angle < 1e-6:
        raise ValueError("two opposite vectors have no shortest way between them")
    t = shares[:, None]
    if angle < 1e-6:  # along a line, to which the circle's formula tends
        directions = (1 - t) * a / lengths[0] + t * b / lengths[1]
    else:
        directions = (np.sin((1 - t) * angle) * a / lengths[0] + np.sin(t * angle) * b / lengths[1]) / np.sin(angle)
    scaled = directions * ((1 - t) * lengths[0] + t * lengths[1])
    return np.asarray(scaled.reshape(len(shares), *first.shape))


@dataclass(frozen=True)
class Terms:
    """Which vectors are averaged and added, subtracted, added; numbers count from 0."""

    plus: tuple[int, ...] = (0, 6, 8)
    minus: tuple[int, ...] = (1, 2, 4)
    also: tuple[int, ...] = (3, 4, 6)

    @classmethod
    def parse(cls, text: str) -> Terms:
        """Terms from text as `0,6,8-1,2,4+3,4,6`, which are the document's.

        Raises:
            ValueError: another form.
        """
        if not re.fullmatch(r"\d+(,\d+)*-\d+(,\d+)*\+\d+(,\d+)*", text):
            raise ValueError(f"the vectors of an arithmetic are picked as 0,6,8-1,2,4+3,4,6, not as {text!r}")
        plus, minus, also = (tuple(map(int, part.split(","))) for part in re.split("[-+]", text))
        return cls(plus, minus, also)


def arithmetic(vectors: Floats, terms: Terms) -> Floats:
    """mean(plus) − mean(minus) + mean(also), of shape (*shape,).

    Raises:
        ValueError: a number that none of `vectors` (n, *shape) has.
    """
    plus, minus, also = (picked(vectors, part).mean(axis=0) for part in (terms.plus, terms.minus, terms.also))
    return np.asarray(plus - minus + also)


def scattered(centre: Floats, n: int, random: np.random.Generator, mean: float = -1.0) -> Floats:
    """`centre` plus 0.1 times normal noise, `n` times. As written the noise has mean −1: document 000's own slip."""
    return np.asarray(centre + 0.1 * random.normal(mean, 1.0, (n, *centre.shape)))


def semantic_vector(latents: Floats, labels: NDArray[np.bool_], *, literal: bool = False) -> Floats:
    """Mean of the labelled latents minus mean of the others, (*shape,).

    `literal` computes what document 004 prints: both means over the labelled ones, so that zero comes out.

    Raises:
        ValueError: not one label per latent, or all labels alike.
    """
    labels = np.asarray(labels, bool)
    if labels.shape != (len(latents),):
        raise ValueError(f"a semantic vector takes one label per latent, not {labels.shape[0]} for {len(latents)}")
    if labels.all() or not labels.any():
        raise ValueError(f"a semantic vector takes labels of both kinds; all {len(labels)} are {bool(labels.all())}")
    others = labels if literal else ~labels
    return np.asarray(latents[labels].mean(axis=0) - latents[others].mean(axis=0))


def picked(vectors: Floats, numbers: Sequence[int]) -> Floats:
    """The vectors of these numbers.

    Raises:
        ValueError: a number that there is none of.
    """
    for number in numbers:
        if not 0 <= number < len(vectors):
            raise ValueError(f"there is no vector {number}: {len(vectors)} are there, 0 to {len(vectors) - 1}")
    return vectors[list(numbers)]


def save_vectors(stem: Path, latents: Floats, **others: Floats) -> tuple[Path, Path]:
    """Write latents (n, *shape) as text, one flat vector a line, as document 000 does, and as safetensors.

    The safetensors file also has what else is given, under its own name.
    """
    text, tensors = stem.with_suffix(".txt"), stem.with_suffix(".safetensors")
    lines = (" ".join(f"{value:.9e}" for value in row) for row in latents.reshape(len(latents), -1))
    write_text(text, "".join(f"{line}\n" for line in lines))
    arrays = {"latents": latents} | others
    write_tensors(tensors, {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})
    return text, tensors


def load_vectors(path: Path, shape: tuple[int, ...]) -> Floats:
    """Read latents of `shape` from either file.

    Raises:
        ValueError: the file can't be read, holds no numbers, or vectors of another size.
    """
    try:
        if path.suffix == ".safetensors":
            flat = read_tensors(path)["latents"].numpy().astype(np.float64)
            flat = flat.reshape(len(flat), -1)
        else:
            with warnings.catch_warnings(action="ignore"):  # of an empty file, which is said below
                flat = np.loadtxt(path, ndmin=2)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} can't be read as latent vectors: {error}") from error
    if not flat.size or flat.shape[1] != prod(shape):
        found = flat.shape[1] if flat.ndim == 2 and flat.size else 0
        raise ValueError(f"{path} holds vectors of {found} values; this reference's latents have {prod(shape)}")
    if not np.isfinite(flat).all():
        raise ValueError(f"{path} holds values that aren't finite numbers")
    return flat.reshape(len(flat), *shape)
