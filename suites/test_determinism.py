"""The same seed gives the same bits, whatever else changes; another seed gives others.

The digest covers parameters, buffers, optimisers and all random streams, after every step.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.determinism import compare_variations
from harness.records.metrics import OTHER_BITS, SAME_BITS, STEPS, THREADS, VARIATION
from harness.suite.session import SuiteSession
from harness.training.device import NUMERICS, computed


def test_same_bits(spec: str, numerics: str, harness: SuiteSession, tmp_path: Path) -> None:
    if not (NUMERICS[numerics] or harness.profile.both_numerics):
        pytest.skip(f"the profile {harness.profile.name} trains twice in deterministic mode alone")
    spec = harness.trainable(spec)
    card = harness.reference(spec).card
    data = harness.dataset(spec)
    batch = min(harness.profile.determinism_batch or card.batch_size, card.batch_size, len(data))
    config = harness.config(
        spec,
        batch_size=batch,
        steps=harness.profile.determinism_steps,
        deterministic=NUMERICS[numerics],
        threads=1,  # three trainings at a time
    )
    comparisons = compare_variations(config, tmp_path)
    for comparison in comparisons:
        harness.record(
            spec,
            OTHER_BITS if comparison.must_differ else SAME_BITS,
            float(comparison.as_expected),
            data=data,
            seed=config.seed,
            batch_size=batch,
            reason=comparison.difference or "",
            threads=config.threads,
            computed=computed(harness.device, deterministic=NUMERICS[numerics]),
            protocol={VARIATION: comparison.variation, STEPS: str(config.steps), THREADS: str(config.threads)},
        )
    if NUMERICS[numerics]:  # cudnn.benchmark promises nothing: there the table tells, and nothing fails
        failed = [f"{c.variation}: {c.difference or 'no difference'}" for c in comparisons if not c.as_expected]
        assert not failed, "; ".join(failed)
