"""Trainings of half a minute or so after which a person sees what a system does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.checks.watchdog import read_looks, watched_values
from harness.data.dataset import linspace_indices
from harness.evaluation.images import to_bytes
from harness.evaluation.protocol import evaluate_sampler, evaluate_start
from harness.latents.metrics import error_ratio
from harness.records.metrics import FID, TRAINING, TRANSLATION_ERROR, UNTRAINED
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.run_folder import RunFolder

pytestmark = pytest.mark.shipped

GAN, PIX2PIX = "idl-gan-mnist", "idl-ex6-pix2pix"
# Steps from which on the samples show what was said of them: that 0, 3 and 8 dominate; that L1 pulls towards the truth.
STEPS = {GAN: 1000, PIX2PIX: 600}
SAMPLES, SHOWN, TRIPLES = 1000, 16, 5
FOLLOWS = 0.97  # of the error to another picture: below that, what is made follows what was given


def looked_at(spec: str, suite: Session) -> Subject:
    """The system, in the form that this profile trains."""
    subject = next((subject for subject in suite.subjects if subject.spec == spec), None)
    if subject is None:
        pytest.skip(f"{spec} wasn't asked for")
    subject = subject.trainable
    if not subject.why_unread:
        pytest.skip("the profile trains it for longer")
    return subject


def test_digits(suite: Session) -> None:
    """A plain GAN's digits are nearer to real ones than noise is, and its page shows them."""
    subject = looked_at(GAN, suite)
    run = subject.trained(subject.card.seed, STEPS[GAN])
    sampler, strips = subject.sampler(run), list[Tensor]()
    values = evaluate_sampler(sampler, run.dataset, SAMPLES, subject.extractors[0], show=strips.append)
    title = f"{subject.spec}, trained here for {run.steps:,} steps on {run.dataset.title}"
    subject.keep("strips", title, strips[0][:SHOWN].numpy())
    for found in values:
        subject.record(found.metric, found.value, n=SAMPLES, protocol=found.protocol, **subject.run_facts(run))
    looks = read_looks(RunFolder(run.folder).looks)
    for found in watched_values(looks, run.asked):
        subject.record(found.metric, found.value, n=len(looks), protocol=found.protocol, **subject.run_facts(run))
    start = evaluate_start(subject.untrained_sampler(), run.dataset, SAMPLES, subject.extractors[0])
    for found in start:
        subject.record(found.metric, found.value, data=run.dataset, n=SAMPLES, protocol=found.protocol)
    (trained,), (untrained,) = (
        [v.value for v in side if v.metric is FID and "statistics" not in v.protocol] for side in (values, start)
    )
    assert trained < untrained / 2, "it has learned something that can be seen"


def test_translation(suite: Session) -> None:
    """What is made of an outline comes nearer to its own picture than to another's, which it doesn't untrained."""
    subject = looked_at(PIX2PIX, suite)
    run = subject.trained(subject.card.seed, STEPS[PIX2PIX])
    indices = linspace_indices(len(run.dataset), SAMPLES)
    batch, value_range = run.dataset[indices], subject.card.data_range
    condition = batch.condition
    assert condition is not None, "it translates"
    made, unmade = (
        sampler.draw(len(indices), condition=condition)
        for sampler in (subject.sampler(run), subject.untrained_sampler())
    )
    triples = torch.stack([condition, made, batch.data], dim=1)[:TRIPLES].flatten(0, 1)
    title = f"{subject.spec}, trained here for {run.steps:,} steps on {run.dataset.title}: given, made, meant"
    subject.keep("strips", title, to_bytes(triples, value_range).numpy())
    meant, seen = batch.data.double().numpy(), {"pictures": "training set"}
    trained, untrained = (error_ratio(pictures.double().numpy(), meant) for pictures in (made, unmade))
    subject.record(TRANSLATION_ERROR, trained, n=len(indices), protocol=seen, **subject.run_facts(run))
    start = seen | {TRAINING: UNTRAINED}
    subject.record(TRANSLATION_ERROR, untrained, data=run.dataset, n=len(indices), protocol=start)
    assert untrained > FOLLOWS > trained, f"its error is {trained:.3f} of that to another picture"
