"""Golden generators: trained ones that are kept. What they were worth then, they are worth today, here as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.golden import held_against, measure
from harness.data.mixtures import modes_of
from harness.evaluation.kept_generator import golden_folders, read_golden
from harness.records.metrics import EXPECTED
from harness.reporting.evidence import MEASURED
from harness.suite.session import Session

pytestmark = pytest.mark.shipped

SHOWN = 16  # samples of a strip


@pytest.mark.parametrize("folder", golden_folders(MEASURED), ids=lambda folder: folder.name)
def test_golden(folder: Path, suite: Session) -> None:
    golden = read_golden(folder)
    facts, title = golden.facts, f"golden: {golden.name}"
    if facts.reference not in {subject.spec for subject in suite.subjects}:
        pytest.skip(f"{facts.reference} wasn't asked for")
    values, samples, extractor = measure(golden.sampler)
    grid = modes_of(golden.sampler.reference.card) is not None
    trained = f"{title}, after {facts.steps:,} steps on {facts.data}"
    suite.keep("densities" if grid else "strips", trained, (samples if grid else samples[:SHOWN]).numpy())
    held = held_against(golden, values)
    for value in held:
        protocol = {**value.found.protocol, EXPECTED: f"{value.kept:.6g}"}
        suite.record(title, value.found.metric, value.found.value, n=len(samples), protocol=protocol, judged=False)
    assert extractor == facts.extractor, "another extractor looked when the figures were kept"
    moved = [f"{v.found.metric.name} {v.found.value:.6g}, was {v.kept:.6g}" for v in held if not v.same]
    assert not moved, f"measuring has changed: {'; '.join(moved)}"
