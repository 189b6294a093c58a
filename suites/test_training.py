"""Each reference trained under the profile: its log beside the document's, and how long an epoch is."""

from __future__ import annotations

import math

from harness.checks.loss_curves import last_over_first, log_line_values, means_over_last_epoch, trends
from harness.suite.session import SuiteSession
from harness.training.run_folder import RunFolder, read_rows


def test_training_log(spec: str, seed: int, harness: SuiteSession) -> None:
    spec = harness.trainable(spec)
    run = harness.trained(spec, seed)
    card = run.reference.card
    rows = list(read_rows(RunFolder(run.folder).metrics))
    common = harness.run_facts(run)
    harness.record(spec, "steps_per_epoch", run.steps_per_epoch, "steps", "equal", **common)
    for name, value in log_line_values(rows, card).items():
        harness.record(spec, name, value, "", "none", **common)
    means = means_over_last_epoch(rows, run.steps_per_epoch)
    for name, value in (means | trends(rows) | last_over_first(rows)).items():
        harness.record(spec, name, value, "", "none", **common)

    assert run.steps == run.asked
    assert [row["step"] for row in rows] == list(range(1, run.steps + 1)), "the log has a row for every step"
    assert means
    assert all(math.isfinite(value) for value in means.values())
