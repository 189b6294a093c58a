"""Reports of several machines: each decides for itself, nothing is pooled, what doesn't fit is listed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from harness.records.record import Record, append_record
from harness.records.report_folder import Asked, write_session
from harness.reporting.evidence import Source, decide, read_evidence, tally_claims
from harness.reporting.pages import write_evidence
from harness.reporting.tables import scorecard_table
from reference import Claim, at_most, get
from tests.records.test_record import record

CLAIM = Claim("c", "p", "it is small", "small", "m", at_most(2), epochs=20)
CARD = dataclasses.replace(get("idl-gan-grid").card, claims=(CLAIM,))
CARDS = [("toy-grid", CARD)]


def measured(value: float, **changes: Any) -> Record:
    return record(value=value, **({"epochs": 20.0, "time": "2026-02-03T00:00:00+00:00"} | changes))


def source(name: str, *values: float, **changes: Any) -> Source:
    return Source(name, tuple(measured(v, seed=i, **changes) for i, v in enumerate(values)), "abcdef0123")


def row(*records: Record, evidence: tuple[Source, ...]) -> dict[str, Any]:
    (found,) = scorecard_table(records, CARDS, evidence).to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_what_one_machine_has_decided_stays_decided() -> None:
    found = row(evidence=(source("a/x", 1, 2), source("b/y")))
    assert (found["verdict"], found["decided by"], found["measured here"]) == ("reproduced (2 of 2)", "a/x", "–")
    assert found["measured elsewhere"].startswith("1.5 (1 to 2) (")
    assert found["measured elsewhere"].endswith("2026-02-03, revision abcdef0")
    assert "20 epochs, 2 seeds" in found["measured elsewhere"]


def test_two_machines_that_agree_are_counted_together_and_their_values_are_not_pooled() -> None:
    found = row(measured(1), evidence=(source("a/x", 2, 2),))
    assert (found["verdict"], found["decided by"]) == ("reproduced (3 of 3)", "here, a/x")
    assert found["measured here"].startswith("1 (")
    assert found["measured elsewhere"].startswith("2 (2 to 2) (")


def test_two_machines_that_disagree_are_shown_as_such() -> None:
    (decision,) = decide(CARDS, [measured(3)], [source("a/x", 1), source("b/y", 1, 3)])
    assert decision.verdict == "disputed"
    found = row(measured(3), evidence=(source("a/x", 1), source("b/y", 1, 3)))
    assert found["verdict"] == "disputed: not reproduced by here, reproduced by a/x, partly by b/y"


def test_what_does_not_fit_is_listed_and_decides_nothing() -> None:
    found = row(evidence=(source("a/x", 1), source("b/y", 5, epochs=3.0)))
    assert (found["verdict"], found["decided by"]) == ("reproduced (1 of 1)", "a/x")
    assert found["not counted"] == "b/y: trained for 3 epochs, the claim takes 20"
    alone = row(evidence=(source("b/y", 5, epochs=3.0),))
    assert (alone["verdict"], alone["measured elsewhere"]) == ("not measured", "–")
    assert row(evidence=())["not counted"] == "no record of m"


def test_what_is_open_says_what_would_decide_it() -> None:
    found = row(evidence=())
    assert found["would decide it"] == "gan-harness suites --references toy-grid --profile documented"
    assert row(measured(1), evidence=())["would decide it"] == ""
    assert row(measured(1), evidence=())["not counted"] == ""
    claim = Claim("c", "p", "s", "d", "m", at_most(1), needs_data=True, needs_gpu=True, versus="other")
    card = dataclasses.replace(CARD, claims=(claim, dataclasses.replace(claim, identifier="o", obstacle="lost")))
    first, second = decide([("toy-grid", card)], [], [])
    asked = "--references toy-grid,other --profile documented --device cuda --data-root FOLDER"
    assert first.to_decide == f"gan-harness suites {asked}"
    assert (second.to_decide, second.why_not) == ("", "lost")


def file(folder: Path, *values: float, revision: str = "") -> None:
    for value in values:
        append_record(folder / "records.jsonl", measured(value))
    if revision:
        write_session(folder, Asked(("toy-grid",), revision=revision, clean=True))


def test_evidence_is_read_by_name_with_its_revision_where_one_is_said(tmp_path: Path) -> None:
    file(tmp_path / "b" / "late", 1, revision="c0ffee")
    file(tmp_path / "a" / "early", 2)
    found = read_evidence(tmp_path)
    assert [(s.name, s.revision, len(s.records)) for s in found] == [("a/early", "", 1), ("b/late", "c0ffee", 1)]
    assert [s.name for s in read_evidence(tmp_path, without=tmp_path / "a" / "early")] == ["b/late"]
    assert read_evidence(tmp_path / "nowhere") == []
    assert "revision not said" in found[0].described(found[0].records)


def test_the_scorecard_of_all_reports_is_one_page(tmp_path: Path) -> None:
    file(tmp_path / "a" / "x", 1)
    written = write_evidence(tmp_path, CARDS)
    assert [path.name for path in written] == ["scorecard.csv", "scorecard.md"]
    text = (tmp_path / "scorecard.md").read_text()
    assert "1 of 1 claims are decided: 1 reproduced." in text
    assert "- [a/x](a/x/)" in text, "of an evaluation there are records and no page"
    (tmp_path / "a" / "x" / "report.md").touch()
    write_evidence(tmp_path, CARDS)
    assert "- [a/x](a/x/report.md)" in (tmp_path / "scorecard.md").read_text()
    with pytest.raises(ValueError, match="holds no report, nor reports two levels below it"):
        write_evidence(tmp_path / "a", CARDS)


def test_claims_are_counted_by_verdict() -> None:
    assert tally_claims(decide(CARDS, [], [])) == "0 of 1 claims are decided."
    assert tally_claims(decide(CARDS, [measured(3)], [])) == "1 of 1 claims are decided: 1 not reproduced."
    disputed = decide(CARDS, [measured(3)], [source("a/x", 1)])
    assert tally_claims(disputed) == "1 of 1 claims are decided: 1 disputed."
