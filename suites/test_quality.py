"""Sample quality of every reference that generates images, from its final checkpoint, never from its best one."""

from __future__ import annotations

import math
from functools import partial

import pytest

from harness.evaluation.extractors.extractor import NoExtractorError
from harness.evaluation.protocol import evaluate_sampler, evaluate_start, sample_size
from harness.records.metrics import FID
from harness.reporting.plots import save_strips
from harness.suite.session import SuiteSession


@pytest.mark.references(having="images")
def test_quality(spec: str, seed: int, harness: SuiteSession) -> None:
    spec = harness.trainable(spec)
    try:
        extractor = harness.extractor(spec)
    except NoExtractorError as error:
        pytest.skip(str(error))
    run = harness.trained(spec, seed)
    n = sample_size(harness.profile.quality_samples, run.dataset)
    keep = partial(harness.keep_samples, spec, seed)
    values = evaluate_sampler(harness.sampler(run), run.dataset, n, extractor, show=keep)
    for found in values:
        harness.record(spec, found.metric, found.value, n=n, protocol=found.protocol, **harness.run_facts(run))
    assert all(math.isfinite(found.value) for found in values)
    assert any(found.metric is FID for found in values)


@pytest.mark.references(having="images")
def test_untrained(spec: str, harness: SuiteSession) -> None:
    """What a generator that hasn't been trained is worth: a training that is no better says nothing of a change."""
    spec = harness.trainable(spec)
    try:
        extractor = harness.extractor(spec)
    except NoExtractorError as error:
        pytest.skip(str(error))
    dataset = harness.dataset(spec)
    sampler = harness.untrained_sampler(spec)
    n = sample_size(harness.profile.quality_samples, dataset)
    try:
        values = evaluate_start(sampler, dataset, n, extractor)
    except ValueError as error:  # a growing generator begins with smaller images, another leaves its range
        pytest.skip(f"untrained, it can't be measured: {error}")
    for found in values:
        harness.record(spec, found.metric, found.value, data=dataset, n=n, protocol=found.protocol, seed=sampler.seed)
    assert all(math.isfinite(found.value) for found in values)


def test_sample_strips(harness: SuiteSession) -> None:
    strips = harness.kept_samples()
    if not strips:
        pytest.skip("no reference with images was measured")
    path = harness.folder("plots", "quality.png")
    save_strips(path, strips)
    assert path.stat().st_size > 1000
