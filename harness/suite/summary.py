"""What a user wants to know at the end of a run of the suites, in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from harness.comparison.compare import summary
from harness.comparison.verdicts import Comparison
from harness.records.report_folder import WEB_PAGE
from harness.reporting.evidence import decide, read_evidence, tally_claims
from harness.reporting.scorecard import claims_line
from harness.suite.session import Session
from harness.training.device import unusable_gpu


def summary_lines(session: Session) -> list[str]:
    """How much was recorded on what, what became of the claims, what the baseline says, and where everything lies."""
    recorder, settings = session.recorder, session.settings
    if not recorder.records:
        return []
    statuses = Counter(r.status for r in recorder.records)
    evidence = read_evidence(without=settings.report_dir)
    together = decide(session.cards, recorder.records, evidence)
    why_no_gpu = unusable_gpu() if settings.device == "auto" else ""
    return [
        f"profile {session.profile.name} on {recorder.environment['device']}, torch {torch.__version__}; records: "
        + ", ".join(f"{count} {status}" for status, count in statuses.items()),
        *(
            [f"not run on a GAN of one's own: {session.set_aside} checks of the harness itself and of its own systems"]
            if session.set_aside
            else []
        ),
        *([f"computed on the CPU: {why_no_gpu}"] if why_no_gpu else []),
        f"claims: {claims_line(session.cards, recorder.records)}",
        *([f"with what was measured elsewhere, {tally_claims(together)}"] if evidence else []),
        *_how_to_go_on(session),
        *([f"the report that was there is kept: {recorder.kept}"] if recorder.kept else []),
        *_against(session.comparisons, settings.baseline),
        *session.against,
        f"everything on one page: {settings.report_dir / WEB_PAGE}",
        f"tables: {', '.join(sorted(path.name for path in settings.report_dir.glob('*.csv')))}",
    ]


def _how_to_go_on(session: Session) -> list[str]:
    """For a run that was stopped before its end."""
    if session.complete and session.settings.shard is not None:
        return [f"shard {session.settings.shard} is done: `gan-harness merge` makes one report of all of them"]
    if session.complete:
        return []
    why = "the time is over" if session.deadline.is_over else "it was stopped"
    return [f"{why} after {sum(session.outcomes.values())} checks: the same command with --resume goes on from there"]


def _against(comparisons: Sequence[Comparison], baseline: Path | None) -> list[str]:
    """What the baseline says, a line for each verdict that isn't good."""
    if not comparisons:
        return []
    bad = [c for c in comparisons if c.verdict not in ("kept", "better")]
    lines = [f"  {c.reference} {c.series}: {c.verdict}" + (f", {c.reason}" if c.reason else "") for c in bad]
    return [f"against {baseline}: {summary(comparisons)}", *lines]
