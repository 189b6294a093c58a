"""Trainings of a minute or two after which a person sees what a system does."""

from __future__ import annotations

import pytest
from torch import Tensor

from harness.evaluation.images import to_bytes
from harness.evaluation.protocol import evaluate_sampler, evaluate_start
from harness.latents.modes import class_numbers, conditional_grid
from harness.records.metrics import FID
from harness.suite.session import Session

pytestmark = pytest.mark.shipped

# Steps from which on the samples show what the document says of them: that 0, 3 and 8 dominate; the digits asked for.
STEPS = {"idl-gan-mnist": 1000, "idl-cond-wgan-gp-mnist": 250}
SAMPLES, SHOWN = 1000, 16


@pytest.mark.parametrize("spec", STEPS)
def test_samples(spec: str, suite: Session) -> None:
    subject = next((subject for subject in suite.subjects if subject.spec == spec), None)
    if subject is None:
        pytest.skip(f"{spec} wasn't asked for")
    if not subject.why_unread:
        pytest.skip("the profile trains it for longer")
    run = subject.trained(subject.card.seed, STEPS[spec])
    sampler, strips = subject.sampler(run), list[Tensor]()
    values = evaluate_sampler(sampler, run.dataset, SAMPLES, subject.extractors[0], show=strips.append)
    if classes := subject.card.classes:
        grid = conditional_grid(sampler, sampler.latents(SAMPLES // classes))
        values += class_numbers(grid, classes, subject.card.data_range, subject.class_probe)[:1]
        strips[0] = to_bytes(grid, subject.card.data_range)
    title = f"{spec}, trained here for {run.steps:,} steps on {run.dataset.title}"
    subject.keep("strips", title, strips[0][:SHOWN].numpy())
    for found in values:
        subject.record(found.metric, found.value, n=SAMPLES, protocol=found.protocol, **subject.run_facts(run))
    start = evaluate_start(subject.untrained_sampler(), run.dataset, SAMPLES, subject.extractors[0])
    for found in start:
        subject.record(found.metric, found.value, data=run.dataset, n=SAMPLES, protocol=found.protocol)
    (trained,), (untrained,) = (
        [v.value for v in side if v.metric is FID and "statistics" not in v.protocol] for side in (values, start)
    )
    assert trained < untrained / 2, "it has learned something that can be seen"
