"""Each reference trained under the profile: its log beside the document's, and how long an epoch is."""

from __future__ import annotations

import math

from harness.checks.loss_curves import logged_values, means_over_last_epoch, untold_trends
from harness.records.metrics import QUANTITY, STEPS_PER_EPOCH, TREND
from harness.suite.subject import Subject
from harness.training.run_folder import RunFolder, read_rows


def test_training_log(subject: Subject, seed: int) -> None:
    subject = subject.trainable
    run = subject.trained(seed)
    card = run.reference.card
    rows = list(read_rows(RunFolder(run.folder).metrics))
    subject.record(STEPS_PER_EPOCH, run.steps_per_epoch, **subject.run_facts(run))
    for logged in logged_values(rows, card, run.steps_per_epoch):
        subject.record_trained(run, logged.metric, logged.value, protocol=logged.protocol)
    for quantity, why in untold_trends(rows).items():
        subject.record_trained(run, TREND, None, status="skipped", reason=why, protocol={QUANTITY: quantity})
    means = means_over_last_epoch(rows, run.steps_per_epoch)

    assert run.steps == run.asked
    assert [row["step"] for row in rows] == list(range(1, run.steps + 1)), "the log has a row for every step"
    assert means
    assert all(math.isfinite(mean.value) for mean in means)
