"""The documents' ways of looking at a generator: each makes a grid of images and the numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data import Dataset
from harness.data.erased import Erased
from harness.latents import metrics
from harness.latents.options import SampleOptions
from harness.latents.probe import LinearProbe, labelled_digits
from harness.latents.vectors import (
    Terms,
    arithmetic,
    interpolate,
    load_vectors,
    picked,
    scattered,
    semantic_vector,
)
from harness.records.arrays import Floats
from harness.records.metrics import PROBE_ACCURACY, REQUESTED_CLASS, STYLE_SHARED, TRAIT, MetricValue, series
from harness.training.sampler import Sampler

_READ = 4000


@dataclass(frozen=True)
class SampleGrid:
    """Images (n, …) in rows of `columns`, the latents behind them, if any, and what was computed.

    `vector` is a semantic vector (*latent_shape,).
    """

    images: Tensor
    columns: int
    latents: Floats | None = None
    vector: Floats | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


def modes(sampler: Sampler) -> list[str]:
    """The grids that this reference has."""
    return [name for name, (possible, _) in _MODES.items() if possible(sampler)]


def make_sample_grid(
    sampler: Sampler,
    options: SampleOptions,
    data: Callable[[], Dataset],
    probe: Callable[[str], LinearProbe] | None = None,
) -> SampleGrid:
    """The grid that the options ask for.

    Args:
        data: opens the run's data set, for those that need it.
        probe: what tells whether images have an attribute, for those that name one.

    Raises:
        ValueError: a mode that the reference doesn't have (the message names those that it has), or options that can't
            be met.
    """
    mode = options.mode
    if mode not in _MODES or mode not in modes(sampler):
        known = "" if mode in _MODES else "unknown "
        raise ValueError(
            f"{known}sampling mode {mode!r}: {sampler.reference.card.name} has {', '.join(modes(sampler))}"
        )
    if mode == "semantic":
        found = probe(options.attribute) if probe is not None and options.attribute else None
        return _semantic(sampler, data, options, found)
    return _MODES[mode][1](sampler, data, options)


def _random(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    card = sampler.reference.card
    if card.condition:
        return _triples(sampler, data(), options)[0]
    if card.latent_shape is None:
        n = options.count or 64
        return SampleGrid(sampler.draw(n), math.ceil(math.sqrt(n)))
    latents = _vectors(sampler, options, options.count or 64)
    n = len(latents)
    labels = torch.arange(n) % card.classes if card.classes else None
    return SampleGrid(sampler.at(latents, labels), card.classes or math.ceil(math.sqrt(n)), latents)


def _interpolate(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    """Document 000 goes from vector 2 to vector 9 of ten; document 004 between the two it has."""
    steps = options.count or (8 if options.path == "midpoints" else 10)
    numbers = _numbers(options.pick or ("0,1" if options.path == "midpoints" else "2,9"))
    if len(numbers) != 2:
        raise ValueError(f"an interpolation is between two vectors, picked as 2,9, not {options.pick!r}")
    first, second = picked(_vectors(sampler, options, 10), numbers)
    latents = interpolate(first, second, steps, options.path)
    images = _at(sampler, data, options, latents)
    others = _at(sampler, data, options, sampler.latents(64, stream=1))
    largest = metrics.largest_step(_array(images)[None], _array(others))
    return SampleGrid(images, steps, latents, numbers={"largest_step": largest})


def _arithmetic(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    n = options.count or 10
    centre = arithmetic(_vectors(sampler, options, 10), Terms.parse(options.pick) if options.pick else Terms())
    random = np.random.default_rng(sampler.seed)
    latents = scattered(centre, n, random, mean=0.0 if options.literal is False else -1.0)
    return SampleGrid(_at(sampler, data, options, latents), min(n, 10), latents)


def _semantic(
    sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions, probe: LinearProbe | None = None
) -> SampleGrid:
    """Rows of three: the vector subtracted, the sample, the vector added; as many as make a page."""
    n = options.count or 32
    latents = _vectors(sampler, options, n)
    base = _at(sampler, data, options, latents)
    if options.labels is not None and options.attribute:
        raise ValueError("--labels and --attribute exclude each other")
    if options.labels is not None:
        labels = _read_labels(options.labels, len(latents))
    elif probe is not None:
        labels = probe.predict(base).astype(bool)
    else:
        raise ValueError("a semantic vector takes --labels FILE (0 or 1 per sample) or --attribute NAME")
    vector = semantic_vector(latents, labels, literal=bool(options.literal))
    minus, plus = (_at(sampler, data, options, latents + sign * vector) for sign in (-1, 1))
    numbers = {"length": float(np.linalg.norm(vector)), "labelled": float(labels.sum())}
    if probe is not None:
        numbers |= {
            "probe_accuracy": probe.accuracy,
            "shift": float(probe.probability(plus).mean() - probe.probability(minus).mean()),
        }
    return SampleGrid(torch.stack([minus, base, plus], dim=1).flatten(0, 1), 6, latents, vector, numbers)


def _conditional(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    """One latent per row, one class per column (document 004, section 9.5.3)."""
    classes = sampler.reference.card.classes
    latents = _vectors(sampler, options, options.count or 10)
    images = conditional_grid(sampler, latents)
    probe = LinearProbe(labelled_digits(data(), _READ))
    values = class_numbers(images, classes, sampler.reference.card.data_range, probe)
    numbers = {series(found.metric.name, found.protocol): found.value for found in values}
    return SampleGrid(images, classes, latents, numbers=numbers)


def _round_trip(sampler: Sampler, _: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    """Rows of three: G(z), G(E(G(z))), G(E(G(E(G(z))))) (document 004, exercise 3)."""
    latents = _vectors(sampler, options, options.count or 10)
    images = [sampler.at(latents)]
    found = latents
    numbers = {}
    for trip in (1, 2):
        found = sampler.encoded(images[-1])
        if len(latents) > 1:  # one alone has no other to be nearer to
            numbers[f"nearer_own_latent_after_{trip}"] = metrics.nearer_to_own(found, latents)
        images.append(sampler.at(found))
    return SampleGrid(torch.stack(images, dim=1).flatten(0, 1), 6, latents, numbers=numbers)


def _inpaint(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions) -> SampleGrid:
    """Rows of triples: erased, filled, real (document 004, exercises 4 and 5)."""
    dataset = data()
    grid, indices = _triples(sampler, dataset, options)
    numbers = {}
    if isinstance(dataset, Erased):
        filled, real = _array(grid.images[1::3]), _array(grid.images[2::3])
        numbers["error_over_mean_fill"] = metrics.error_over_mean_fill(filled, real, dataset.holes(indices).numpy())
    return replace(grid, numbers=numbers)


def _triples(sampler: Sampler, dataset: Dataset, options: SampleOptions) -> tuple[SampleGrid, Tensor]:
    """Condition, sample and real picture of each of some samples, and their indices."""
    latents = None
    n = min(options.count or 16, len(dataset))
    if sampler.reference.card.latent_shape is not None:
        latents = _vectors(sampler, options, n)[: len(dataset)]
        n = len(latents)
    indices, condition, real = _conditions(dataset, n)
    samples = sampler.draw(n, None, condition) if latents is None else sampler.at(latents, None, condition)
    return SampleGrid(torch.stack([condition, samples, real], dim=1).flatten(0, 1), 6, latents), indices


_MODES: dict[
    str, tuple[Callable[[Sampler], bool], Callable[[Sampler, Callable[[], Dataset], SampleOptions], SampleGrid]]
] = {
    "random": (lambda _: True, _random),
    "interpolate": (lambda s: s.reference.card.latent_shape is not None, _interpolate),
    "arithmetic": (lambda s: s.reference.card.latent_shape is not None, _arithmetic),
    "semantic": (lambda s: s.reference.card.latent_shape is not None, _semantic),
    "conditional": (lambda s: s.reference.card.classes > 0, _conditional),
    "roundtrip": (lambda s: "encoder" in s.networks, _round_trip),
    "inpaint": (lambda s: s.reference.card.condition == "erased", _inpaint),
}


def class_numbers(
    grid: Tensor, classes: int, value_range: tuple[float, float], probe: LinearProbe
) -> list[MetricValue]:
    """What a grid of images, a latent per row and a class per column, says of both.

    The share that shows the requested class, and the probe's own accuracy. Of grey images also, for each trait of
    style, how much a row's images share of it: NaN when fewer than two rows show ink in every column.
    """
    rows = len(grid) // classes
    low, high = value_range
    shown = float((probe.predict(grid) == np.tile(np.arange(classes), rows)).mean())
    numbers = [MetricValue(REQUESTED_CLASS, shown, probe.described()), MetricValue(PROBE_ACCURACY, probe.accuracy)]
    side = math.isqrt(grid[0].numel())
    if side * side != grid[0].numel():
        return numbers
    pictures = (_array(grid).reshape(len(grid), side, side) - low) / (high - low)
    for trait, values in (("stroke_width", metrics.stroke_widths(pictures)), ("slant", metrics.slants(pictures))):
        by_row = values.reshape(rows, classes)
        usable = np.isfinite(by_row).all(axis=1).sum() > 1
        shared = metrics.shared_by_row(by_row) if usable else math.nan
        numbers.append(MetricValue(STYLE_SHARED, shared, {TRAIT: trait}))
    return numbers


def conditional_grid(sampler: Sampler, latents: Floats) -> Tensor:
    """Samples of every latent with every class, row by row, (rows · classes, …)."""
    classes = sampler.reference.card.classes
    return sampler.at(np.repeat(latents, classes, axis=0), torch.arange(classes).repeat(len(latents)))


def _at(sampler: Sampler, data: Callable[[], Dataset], options: SampleOptions, latents: Floats) -> Tensor:
    """Samples that differ in nothing but their latents: one class, one condition."""
    card, n = sampler.reference.card, len(latents)
    labels = torch.full((n,), options.label) if card.classes else None
    condition = None
    if card.condition:
        _, condition, _ = _conditions(data(), 1)
        condition = condition.expand(n, *condition.shape[1:])
    return sampler.at(latents, labels, condition)


def _vectors(sampler: Sampler, options: SampleOptions, n: int) -> Floats:
    return load_vectors(options.latents, sampler.latent_shape) if options.latents else sampler.latents(n)


def _conditions(dataset: Dataset, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """(indices, conditions, real) of `n` samples, evenly spread."""
    indices = torch.linspace(0, len(dataset) - 1, n).long()
    batch = dataset[indices]
    if batch.condition is None:
        raise ValueError(f"{dataset.title} has no condition to sample from")
    return indices, batch.condition, batch.data


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ValueError(f"vectors are picked by number, as 2,9, not {text!r}") from None


def _read_labels(path: Path, n: int) -> NDArray[np.bool_]:
    try:
        words = path.read_text().replace(",", " ").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} can't be read as labels: {error}") from error
    if not set(words) <= {"0", "1"} or len(words) != n:
        raise ValueError(f"{path} must hold {n} labels of 0 or 1, one per sample, and holds {len(words)} words")
    return np.array([word == "1" for word in words])


def _array(images: Tensor) -> Floats:
    return images.double().numpy()
