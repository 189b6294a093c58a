from __future__ import annotations

import dataclasses

from harness.records.record import UNREAD
from harness.records.report_folder import Asked
from harness.reporting.answer import answer
from harness.reporting.evidence import Source, decide
from reference import Card, Claim, at_most, get
from tests.records.test_record import record

CLAIM = Claim("c", "page 3", "the metric is small", "2", "fid", at_most(2))


def cards(*claims: Claim) -> list[tuple[str, Card]]:
    return [("toy-grid", dataclasses.replace(get("idl-gan-grid").card, claims=claims))]


def test_the_first_lines_say_what_passed_failed_was_reproduced_and_left_out() -> None:
    records = [
        record(metric="fid", value=1.0),
        record(metric="test_bits", value=None, status="failed", reason="other bits"),
        record(metric="test_x", value=None, status="skipped", reason="no card"),
        record(metric="modes_captured", value=3.0, reason=f"{UNREAD}3 steps"),
    ]
    asked = Asked(("toy-grid",), finished="now", outcomes={"passed": 7, "failed": 1, "skipped": 1})
    said = answer(records, asked, decide(cards(CLAIM), records, ())).lines
    assert said == [
        "Checks: 7 passed, 1 failed, 1 skipped.",
        "Measured here: 1 of 1 claims are decided: 1 reproduced.",
        "Failed: toy-grid, test_bits: other bits",
        "Left out, each with its reason: 1 checks or figures. "
        "Not shown, for they check the code alone: 1 figures of short trainings.",
    ]


def test_claims_that_do_not_hold_are_named_and_the_rest_of_them_counted() -> None:
    claims = tuple(Claim(f"c{i}", "p", f"claim {i}", "2", "fid", at_most(2)) for i in range(8))
    records = [record(metric="fid", value=3.0)]
    found = answer(records, Asked(("toy-grid",)), decide(cards(*claims), records, ()))
    assert len(found.alarms) == 5
    assert found.alarms[0] == "Not reproduced: toy-grid, claim 0 (p)"
    assert found.more_alarms == 3
    assert "And 3 more: see the tables." in found.lines


def test_what_other_reports_say_stands_apart() -> None:
    evidence = [Source("machine/one", (record(metric="fid", value=1.0),))]
    decisions = decide(cards(CLAIM), [], evidence)
    found = answer([], Asked(("toy-grid",)), decisions)
    assert found.claims == (
        "Measured here: 0 of 1 claims are decided.",
        "With the reports of other runs: 1 of 1 claims are decided: 1 reproduced.",
    )
    assert found.checks == "No checks: figures alone."


def test_a_run_that_was_interrupted_says_so() -> None:
    found = answer([], Asked(("toy-grid",), outcomes={"passed": 2}), [])
    assert found.checks.endswith("Interrupted: what follows is what had been recorded.")
    assert found.claims == ("No document claims anything about what was checked.",)
