"""The same seed gives the same bits, whatever else changes; another seed gives others.

The digest covers parameters, buffers, optimisers and all random streams, after every step.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.determinism import compare_variations
from harness.records.metrics import OTHER_BITS, SAME_BITS, STATE, STEPS, THREADS, VARIATION
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.device import IS_DETERMINISTIC, computed


def test_same_bits(subject: Subject, numerics: str, suite: Session, tmp_path: Path) -> None:
    if not (IS_DETERMINISTIC[numerics] or suite.profile.both_numerics):
        pytest.skip(f"the profile {suite.profile.name} trains twice in deterministic mode alone")
    subject = subject.trainable
    card = subject.card
    data = subject.dataset
    batch = min(suite.profile.determinism_batch or card.batch_size, card.batch_size, len(data))
    config = subject.config(
        batch_size=batch,
        steps=suite.profile.determinism_steps,
        deterministic=IS_DETERMINISTIC[numerics],
        threads=1,  # three trainings at a time
    )
    comparisons = compare_variations(config, tmp_path)
    for comparison in comparisons:
        subject.record(
            OTHER_BITS if comparison.must_differ else SAME_BITS,
            float(comparison.as_expected),
            data=data,
            seed=config.seed,
            batch_size=batch,
            reason=comparison.difference or ("" if comparison.must_differ else f"{STATE}{comparison.state}"),
            threads=config.threads,
            computed=computed(suite.device, deterministic=IS_DETERMINISTIC[numerics]),
            protocol={VARIATION: comparison.variation, STEPS: str(config.steps), THREADS: str(config.threads)},
        )
    if IS_DETERMINISTIC[numerics]:  # cudnn.benchmark promises nothing: there the table tells, and nothing fails
        failed = [f"{c.variation}: {c.difference or 'no difference'}" for c in comparisons if not c.as_expected]
        assert not failed, "; ".join(failed)
