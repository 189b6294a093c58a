"""A report that becomes evidence: what is refused, what is filed, and that nothing is ever overwritten."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from harness.records.record import append_record
from harness.records.report_folder import Asked, read_session, write_session
from harness.reporting.evidence import read_evidence
from harness.reporting.promotion import promote_report
from tests.records.test_record import record

ASKED = Asked(("toy-grid",), revision="c0ffee", clean=True, finished="2026-01-01T00:00:00+00:00")


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "latest"
    append_record(folder / "records.jsonl", record(device="Intel(R) Xeon(R) CPU @ 2.50GHz"))
    write_session(folder, ASKED)
    for name in ("report.md", "scorecard.csv", "plots/modes.png", "plots/strips/0.safetensors", "runs/a/run.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_records_tables_and_plots_are_filed_by_machine_and_trainings_are_not(report: Path, tmp_path: Path) -> None:
    into = tmp_path / "measured"
    promoted = promote_report(report, "first", into)
    assert promoted.folder == into / "intel-xeon-cpu-2-50ghz" / "first"
    assert promoted.failed == 0
    found = {str(path.relative_to(promoted.folder)) for path in promoted.folder.rglob("*") if path.is_file()}
    assert found == {"records.jsonl", "session.json", "report.md", "scorecard.csv", "plots/modes.png"}
    assert [(s.name, s.revision) for s in read_evidence(into)] == [("intel-xeon-cpu-2-50ghz/first", "c0ffee")]
    assert promote_report(report, "mine/second", into).folder == into / "mine" / "second"


def test_evidence_names_no_folder_of_whoever_measured(report: Path, tmp_path: Path) -> None:
    given = ("--profile=documented", "--data-root=/home/me/data", "--storage=hdd=/mnt/old", "--runs=~/runs")
    write_session(report, dataclasses.replace(ASKED, options=given))
    filed = promote_report(report, "m/a", tmp_path / "measured").folder
    expected = ("--profile=documented", "--data-root=FOLDER", "--storage=hdd=FOLDER", "--runs=FOLDER")
    assert read_session(filed) == dataclasses.replace(ASKED, options=expected)
    assert read_session(report).options == given, "the report itself stays as it is"


def test_evidence_is_never_overwritten(report: Path, tmp_path: Path) -> None:
    promoted = promote_report(report, "m/a", tmp_path / "measured")
    before = (promoted.folder / "records.jsonl").read_bytes()
    append_record(report / "records.jsonl", record(value=7.0))
    with pytest.raises(ValueError, match="is there already, and evidence is never overwritten"):
        promote_report(report, "m/a", tmp_path / "measured")
    assert (promoted.folder / "records.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"finished": ""}, "it was interrupted, or is older than version 0.3"),
        ({"revision": ""}, "it wasn't measured in a git repository"),
        ({"clean": False}, "with changes that no commit has, at c0ffee: commit, and run again"),
    ],
)
def test_a_report_that_says_too_little_is_refused(
    changes: dict[str, Any], said: str, report: Path, tmp_path: Path
) -> None:
    write_session(report, dataclasses.replace(ASKED, **changes))
    with pytest.raises(ValueError, match=said):
        promote_report(report, "a", tmp_path / "measured")
    assert not (tmp_path / "measured").exists()


def test_a_report_of_two_machines_or_of_nothing_measured_is_refused(report: Path, tmp_path: Path) -> None:
    append_record(report / "records.jsonl", record(environment="other"))
    with pytest.raises(ValueError, match="it is of 2 environments"):
        promote_report(report, "a", tmp_path / "measured")
    (report / "records.jsonl").unlink()
    append_record(report / "records.jsonl", record(value=None, status="failed", reason="crashed"))
    with pytest.raises(ValueError, match="it holds no measured value"):
        promote_report(report, "a", tmp_path / "measured")
    with pytest.raises(ValueError, match="isn't there"):
        promote_report(tmp_path / "nowhere", "a", tmp_path / "measured")


@pytest.mark.parametrize("name", ["", "a/b/c", "../a", "A", "a b", "/a", ".hidden"])
def test_a_name_that_is_none_is_refused(name: str, report: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--as takes NAME or MACHINE/NAME"):
        promote_report(report, name, tmp_path / "measured")
