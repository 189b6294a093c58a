"""How every reference behaves while it trains: rules that each GAN's step keeps, whatever its losses are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks.data_order import watch_order
from harness.checks.training_rules import RuleResult, check_training_rules
from harness.data.dataset import Augmented
from harness.records.metrics import RULE, TRAINING_RULE
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.flops import steps_within_budget

FEW = 4  # samples a step are enough for the rules that don't wait for training to show


def record_findings(subject: Subject, findings: list[RuleResult]) -> None:
    for found in findings:
        subject.record(
            TRAINING_RULE,
            float(not found.broken),
            data=subject.dataset,
            reason=found.broken,
            protocol={RULE: found.rule},
        )
    broken = [f"{found.rule}: {found.broken}" for found in findings if found.broken]
    assert not broken, "; ".join(broken)


def test_training_rules(subject: Subject, suite: Session) -> None:
    subject = subject.trainable
    chosen, profile = subject.reference, suite.profile
    batch, steps = profile.rules_batch, profile.rules_steps
    per_step = batch * subject.operations_per_sample
    if steps_within_budget(per_step, profile.rules_flops, 2 * steps) < 2 * steps:
        reason = f"training either player alone takes more operations than the profile {profile.name} allows"
        unplayed = {RULE: "players oppose each other"}
        subject.record(TRAINING_RULE, None, status="skipped", reason=reason, protocol=unplayed)
        batch, steps = FEW, 0
    findings = check_training_rules(chosen, subject.dataset, chosen.card.seed, batch, steps)
    assert len(findings) >= 5
    record_findings(subject, findings)


def test_order_of_data(suite: Session, tmp_path: Path) -> None:
    """The engine orders the data: one reference of each data set in memory speaks for all on it."""
    first: dict[str, Subject] = {}
    for subject in suite.subjects:
        name = subject.card.dataset
        first.setdefault(subject.spec if name == "own" else name, subject)
    looked = 0
    for name, subject in first.items():
        data = subject.dataset
        if data.in_memory and not isinstance(data, Augmented) and len(data) > 3:
            folder = tmp_path / name
            record_findings(subject, watch_order(subject.spec, suite.root, suite.settings.modules, folder))
            looked += 1
    if not looked:
        pytest.skip("no reference asked for has its data in memory")
