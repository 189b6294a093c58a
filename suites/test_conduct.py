"""How every reference behaves while it trains: rules that each GAN's step keeps, whatever its losses are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.training_rules import RuleResult, watch_conduct, watch_order
from harness.data.dataset import RandomlyChanged
from harness.records.metrics import RULE, TRAINING_RULE
from harness.suite.session import SuiteSession
from harness.training.flops import affordable_steps

FEW = 4  # samples a step are enough for the rules that don't wait for training to show


def record_findings(harness: SuiteSession, spec: str, findings: list[RuleResult]) -> None:
    for found in findings:
        harness.record(
            spec, TRAINING_RULE, float(not found.broken), data=harness.dataset(spec), reason=found.broken,
            protocol={RULE: found.rule},
        )  # fmt: skip
    broken = [f"{found.rule}: {found.broken}" for found in findings if found.broken]
    assert not broken, "; ".join(broken)


def test_conduct(spec: str, harness: SuiteSession) -> None:
    spec = harness.trainable(spec)
    chosen, profile = harness.reference(spec), harness.profile
    batch, steps = profile.conduct_batch, profile.conduct_steps
    per_step = batch * harness.operations_per_sample(spec)
    if affordable_steps(per_step, profile.conduct_flops, 2 * steps) < 2 * steps:
        reason = f"training either player alone takes more operations than the profile {profile.name} allows"
        harness.record(
            spec, TRAINING_RULE, None, status="skipped", reason=reason, protocol={RULE: "players oppose each other"},
        )  # fmt: skip
        batch, steps = FEW, 0
    findings = watch_conduct(chosen, harness.dataset(spec), chosen.card.seed, batch, steps)
    assert len(findings) >= 5
    record_findings(harness, spec, findings)


def test_order_of_data(harness: SuiteSession, tmp_path: Path) -> None:
    """The engine orders the data: one reference of each data set in memory speaks for all on it."""
    first: dict[str, str] = {}
    for spec in harness.specs():
        first.setdefault(harness.reference(spec).card.dataset, spec)
    looked = 0
    for name, spec in first.items():
        data = harness.dataset(spec)
        if data.in_memory and not isinstance(data, RandomlyChanged) and len(data) > 3:
            folder = tmp_path / name
            record_findings(harness, spec, watch_order(spec, harness.root, harness.settings.modules, folder))
            looked += 1
    if not looked:
        pytest.skip("no reference asked for has its data in memory")
