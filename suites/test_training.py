"""Each reference trained under the profile: its log beside the document's, and what a watchdog noticed meanwhile."""

from __future__ import annotations

import math
from itertools import pairwise

from harness.checks.loss_curves import logged_values, means_over_last_epoch, untold_trends
from harness.checks.watchdog import LEAST, read_looks, watched_values
from harness.records.metrics import NOTICED, QUANTITY, STEPS, STEPS_PER_EPOCH, TREND, WHAT
from harness.suite.subject import Subject
from harness.training.logger import NonFiniteError
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


def test_watchdog(subject: Subject, seed: int) -> None:
    """What it noticed is a finding, not a failure: some documents' GANs collapse, and say so."""
    subject = subject.trainable
    if subject.steps < LEAST:
        reason = f"a training of fewer than {LEAST:,} steps isn't looked at"
        subject.record(NOTICED, None, status="skipped", reason=reason, seed=seed)
        return
    try:
        run = subject.trained(seed)
    except NonFiniteError as error:
        told = {WHAT: f"divergence: {error}", STEPS: str(subject.steps)}
        subject.record(NOTICED, 1, data=subject.dataset, seed=seed, protocol=told)
        raise
    looks = read_looks(RunFolder(run.folder).looks)
    if not looks:
        reason = "nobody looked at it: its data don't vary, or it was trained without a watchdog"
        subject.record_trained(run, NOTICED, None, status="skipped", reason=reason)
        return
    for found in watched_values(looks, run.asked):
        subject.record_trained(run, found.metric, found.value, n=len(looks), protocol=found.protocol)
    assert looks[-1].step == run.steps, "the last look is at the end"
    assert all(earlier.step < later.step for earlier, later in pairwise(looks))
