"""The answer that a report gives in its first lines: what passed, failed, was reproduced, was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.records.record import Record
from harness.records.report_folder import Asked
from harness.reporting.evidence import Decision, tally_claims

QUESTION = "Does each GAN still do what its document says?"
_MOST = 5  # of a kind that are named; the tables have all


@dataclass(frozen=True)
class Answer:
    """What a report says at first glance.

    Attributes:
        checks: how many ended how.
        claims: what became of the claims, here and with what was measured elsewhere.
        alarms: what a reader should look at: failed checks, and claims that didn't hold, most important first.
        more_alarms: how many of those aren't named.
        left_out: how much was left out or isn't shown.
    """

    checks: str
    claims: tuple[str, ...]
    alarms: tuple[str, ...]
    more_alarms: int
    left_out: str

    @property
    def lines(self) -> list[str]:
        """All of it, a sentence each."""
        more = [f"And {self.more_alarms} more: see the tables."] if self.more_alarms else []
        return [self.checks, *self.claims, *self.alarms, *more, self.left_out]


def answer(records: Sequence[Record], asked: Asked, decisions: Sequence[Decision]) -> Answer:
    """What these records say, with the reports of the evidence that `decisions` know."""
    here = tally_claims([replace(decision, elsewhere=()) for decision in decisions])
    together = tally_claims(decisions)
    claims = [f"Measured here: {here}"] if decisions else ["No document claims anything about what was checked."]
    if any(decision.elsewhere for decision in decisions):
        claims.append(f"With the reports of other runs: {together}")
    failed = [f"Failed: {r.reference or r.suite}, {r.metric}: {r.reason}" for r in records if r.status == "failed"]
    broken = [
        f"{decision.verdict.capitalize()}: {decision.reference}, {decision.claim.statement} ({decision.claim.place})"
        for wanted in ("disputed", "not reproduced", "partly")
        for decision in decisions
        if decision.verdict == wanted
    ]
    alarms = [*failed, *broken]
    skipped = sum(r.status == "skipped" for r in records)
    unread = sum(r.unread for r in records)
    return Answer(
        _checks(asked),
        tuple(claims),
        tuple(alarms[:_MOST]),
        max(0, len(alarms) - _MOST),
        f"Left out, each with its reason: {skipped:,} checks or figures."
        + (f" Not shown, for they check the code alone: {unread:,} figures of short trainings." if unread else ""),
    )


def _checks(asked: Asked) -> str:
    if not asked.outcomes:
        return "No checks: figures alone."
    counted = {name: asked.outcomes.get(name, 0) for name in ("passed", "failed", "skipped")}
    ended = "" if asked.finished else " Interrupted: what follows is what had been recorded."
    return f"Checks: {', '.join(f'{count:,} {name}' for name, count in counted.items())}.{ended}"
