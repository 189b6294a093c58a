"""What the documents claim of latents, labels and conditions, on every reference that has them."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch

from harness.data.dataset import linspace_indices
from harness.data.erased import Erased
from harness.data.registry import MissingAttributesError
from harness.evaluation.perceptual import perceptual_distances
from harness.latents import metrics
from harness.latents.modes import class_numbers, conditional_grid
from harness.latents.options import Interpolation
from harness.latents.path_length import path_length
from harness.latents.vectors import interpolate, semantic_vector
from harness.records.metrics import (
    ATTRIBUTE,
    ENCODER_NEARER_OWN,
    INPAINTING_ERROR,
    INPAINTING_SPREAD,
    LARGEST_STEP,
    PATH,
    PROBE_ACCURACY,
    ROUND_TRIP_NEARER_OWN,
    SEMANTIC_CONTROL,
    SEMANTIC_SHIFT,
    TRANSLATION_ERROR,
    TRANSLATION_SPREAD,
    Metric,
)
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training import TrainedRun

STEPS, DRAWS = 10, 8
ATTRIBUTES = ("Smiling", "Male")


def recorder(run: TrainedRun, subject: Subject) -> Any:
    """A function that records one value over n samples, or that it has none, with the facts of the run."""

    def record(metric: Metric, value: float, n: int, **protocol: str) -> None:
        if math.isnan(value):
            reason = "undefined: the samples don't differ, or show nothing"
            subject.record_trained(run, metric, None, status="skipped", reason=reason, n=n, protocol=protocol)
        else:
            subject.record_trained(run, metric, value, n=n, protocol=protocol)

    return record


@pytest.mark.references(having="latent")
def test_interpolation(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, paths = subject.trained(seed), suite.profile.interpolation_paths
    record, sampler = recorder(run, subject), subject.sampler(run)
    ends = sampler.latents(2 * paths)
    labels = torch.zeros(paths * STEPS, dtype=torch.int64) if run.reference.card.classes else None
    batch = run.dataset[torch.zeros(paths * STEPS, dtype=torch.int64)]
    condition = batch.condition if run.reference.card.condition else None
    ways = {}
    for way in get_args(Interpolation):
        pairs = zip(ends[::2], ends[1::2], strict=True)
        points = [interpolate(first, second, STEPS, way) for first, second in pairs]
        made = sampler.at(np.concatenate(points), labels, condition).double().numpy()
        assert np.isfinite(made).all()
        ways[way] = made.reshape(paths, STEPS, -1)
    others = sampler.at(sampler.latents(paths * STEPS, stream=1), labels, condition).double().numpy()
    for way, made in ways.items():
        record(LARGEST_STEP, metrics.largest_step(made, others), paths, **{PATH: way})


@pytest.mark.references(having="images of latents")
def test_path_length(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    extractors = subject.extractors
    run, n = subject.trained(seed), suite.profile.latent_samples
    distances = perceptual_distances(extractors, suite.lpips)
    if not distances:
        pytest.skip(f"{extractors[0].name} sees bytes, between which a short step is lost, and LPIPS has no weights")
    for distance in distances:
        found = path_length(subject.sampler(run), n, run.dataset, distance)
        subject.record_trained(run, found.metric, found.value, n=n, protocol=found.protocol)
        assert math.isfinite(found.value)


@pytest.mark.references(having="classes")
def test_classes(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, n = subject.trained(seed), suite.profile.latent_samples
    record, sampler = recorder(run, subject), subject.sampler(run)
    classes = run.reference.card.classes
    rows = max(2, n // classes)
    grid = conditional_grid(sampler, sampler.latents(rows))
    probe = subject.class_probe
    for found in class_numbers(grid, classes, run.reference.card.data_range, probe):
        record(found.metric, found.value, len(grid), **found.protocol)
    assert probe.accuracy > 0.8, "a probe that can't read real digits says nothing of generated ones"


@pytest.mark.references(having="encoder")
def test_round_trip(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, n = subject.trained(seed), suite.profile.latent_samples
    record, sampler = recorder(run, subject), subject.sampler(run)
    latents = sampler.latents(n)
    images = sampler.at(latents)
    found = sampler.encoded(images)
    again = sampler.at(found)
    nearer = metrics.nearer_to_own(found, latents)
    record(ENCODER_NEARER_OWN, nearer, n)
    nearer = metrics.nearer_to_own(again.double().numpy(), images.double().numpy())
    record(ROUND_TRIP_NEARER_OWN, nearer, n)


@pytest.mark.references(having="erased")
def test_inpainting(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, n = subject.trained(seed), suite.profile.latent_samples
    record, sampler = recorder(run, subject), subject.sampler(run)
    data = run.dataset
    assert isinstance(data, Erased)
    indices = linspace_indices(len(data), n)
    batch, holes = data[indices], data.holes(indices).numpy()
    real = batch.data.double().numpy()
    filled = sampler.draw(len(indices), condition=batch.condition).double().numpy()
    value = metrics.error_over_mean_fill(filled, real, holes)
    seen = {"pictures": "training set"}
    record(INPAINTING_ERROR, value, len(indices), **seen)
    if run.reference.card.latent_shape is not None:
        few = suite.profile.spread_samples
        assert batch.condition is not None
        draws = [
            sampler.at(sampler.latents(few, stream=draw), condition=batch.condition[:few]).double().numpy()
            for draw in range(DRAWS)
        ]
        value = metrics.spread_over_draws(np.stack(draws), holes[:few])
        record(INPAINTING_SPREAD, value, few, **seen)


@pytest.mark.references(having="paired")
def test_translation(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, n = subject.trained(seed), suite.profile.translation_pairs
    record = recorder(run, subject)
    indices = linspace_indices(len(run.dataset), n)
    batch = run.dataset[indices]
    low, high = run.reference.card.data_range
    draws = [
        subject.sampler(run, extra=draw).draw(len(indices), condition=batch.condition).double().numpy() / (high - low)
        for draw in range(3)
    ]
    real = batch.data.double().numpy() / (high - low)
    seen = {"pictures": "training set"}
    ratio, spread = metrics.error_ratio(draws[0], real), metrics.spread_over_draws(np.stack(draws))
    record(TRANSLATION_ERROR, ratio, len(indices), **seen)
    record(TRANSLATION_SPREAD, spread, len(indices), **seen)
    assert any((draws[0] != draw).any() for draw in draws[1:]), "dropout is this system's only noise: it must act"


@pytest.mark.references(having="faces")
def test_semantic_vectors(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    run, n = subject.trained(seed), suite.profile.latent_samples
    record, sampler = recorder(run, subject), subject.sampler(run)
    latents, fresh = sampler.latents(n), sampler.latents(n, stream=1)
    base = sampler.at(latents)
    random = np.random.default_rng(seed)
    for attribute in ATTRIBUTES:
        try:
            probe = subject.attribute_probe(attribute)
        except MissingAttributesError as error:
            pytest.skip(str(error))
        if probe.real != run.dataset.real:
            pytest.skip(f"faces of {run.dataset.title} can't be judged by a probe of {probe.title}")
        told = {ATTRIBUTE: attribute, **probe.described()}
        record(PROBE_ACCURACY, probe.accuracy, n, **told)
        labels = probe.predict(base).astype(bool)
        if labels.all() or not labels.any():
            reason = f"the probe sees the same in all {n} samples: {attribute} {bool(labels[0])}"
            subject.record(
                SEMANTIC_SHIFT,
                None,
                data=run.dataset,
                seed=seed,
                status="skipped",
                reason=reason,
                protocol={ATTRIBUTE: attribute},
            )
            continue
        vector = semantic_vector(latents, labels)
        other = random.normal(size=vector.shape)
        other *= np.linalg.norm(vector) / np.linalg.norm(other)
        for metric, direction in ((SEMANTIC_SHIFT, vector), (SEMANTIC_CONTROL, other)):
            plus, minus = (probe.probability(sampler.at(fresh + sign * direction)).mean() for sign in (1, -1))
            record(metric, float(plus - minus), n, **told)
