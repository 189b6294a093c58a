"""Sample quality of every reference that generates images: a training's is that of its final networks.

Where a watchdog kept better ones on the way, theirs stands beside it.
"""

from __future__ import annotations

import math

import pytest
from torch import Tensor

from harness.evaluation.perceptual import lpips_diversity
from harness.evaluation.protocol import evaluate_sampler, evaluate_start, sample_size
from harness.records.metrics import BEST, FID
from harness.suite.session import Session
from harness.suite.subject import Subject

SHOWN = 16  # samples of a strip


@pytest.mark.references(having="images")
def test_quality(subject: Subject, seed: int, suite: Session) -> None:
    subject = subject.trainable
    extractors = subject.extractors
    run = subject.trained(seed)
    n = sample_size(suite.profile.quality_samples, run.dataset)

    shown: list[str] = []
    drawn: list[Tensor] = []

    def keep(images: Tensor) -> None:
        drawn[:] = [images]
        if seed == subject.seeds()[0] and not subject.why_unread and not shown:
            shown.append(subject.spec)
            subject.keep("strips", subject.spec, images[:SHOWN].numpy())

    for extractor in extractors:
        # A gate goes by what the first sees: of two values of one metric and seed it wouldn't know which.
        beside = {} if extractor is extractors[0] else {"headline": False}
        values = evaluate_sampler(subject.sampler(run), run.dataset, n, extractor, show=keep)
        for found in values:
            subject.record_trained(run, found.metric, found.value, n=n, protocol=found.protocol, **beside)
        assert all(math.isfinite(found.value) for found in values)
        assert any(found.metric is FID for found in values)
    if best := subject.best(run):
        for found in evaluate_sampler(subject.sampler(best), run.dataset, n, extractors[0]):
            value = found.at(BEST, best.steps / best.steps_per_epoch)
            subject.record_trained(best, value.metric, value.value, n=n, protocol=value.protocol)
    if suite.lpips:
        images = drawn[0]
        value = lpips_diversity(images, run.dataset, run.reference.card.data_range, suite.lpips)
        subject.record_trained(run, value.metric, value.value, n=len(images), protocol=value.protocol)


@pytest.mark.references(having="images")
def test_untrained(subject: Subject, suite: Session) -> None:
    """What a generator that hasn't been trained is worth: a training that is no better says nothing of a change."""
    subject = subject.trainable
    extractors = subject.extractors
    dataset = subject.dataset
    sampler = subject.untrained_sampler()
    n = sample_size(suite.profile.quality_samples, dataset)
    try:
        values = evaluate_start(sampler, dataset, n, extractors[0])
    except ValueError as error:  # a growing generator begins with smaller images, another leaves its range
        pytest.skip(f"untrained, it can't be measured: {error}")
    for found in values:
        facts = {"data": dataset, "n": n, "seed": sampler.seed, "reason": subject.why_unread}
        subject.record(found.metric, found.value, protocol=found.protocol, **facts)
    assert all(math.isfinite(found.value) for found in values)
