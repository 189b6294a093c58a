from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import reference
from harness.records.record import append_record
from harness.records.report_folder import Asked, write_session
from harness.reporting.pages import write_documented, write_report
from tests.records.test_record import record

CARDS = [(name, reference.get(name).card) for name in ("mlp-gan-mnist", "idl-gan-grid", "toy-grid")]
ROOT = Path(__file__).parents[2]


def write(folder: Path, *records: Any) -> None:
    for entry in records:
        append_record(folder / "records.jsonl", entry)
    write_session(folder, Asked(tuple(name for name, _ in CARDS)))
    facts = {"processor": "Test CPU", "cores": 2, "memory_gib": 4, "device": "Test CPU", "versions": {"torch": "9.9"}}
    (folder / "environment.json").write_text(json.dumps({"e": facts}))


def test_every_table_names_the_machine_and_counts_what_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        record(metric="modes_captured", value=9, seed=0, n=10_000, epochs=20.0, reference="idl-gan-grid"),
        record(suite="shapes", metric="test_x", value=None, status="skipped", reason="no | card"),
    )
    written = write_report(tmp_path, CARDS)
    assert {p.name for p in written} >= {
        "report.html",
        "report.md",
        "tidy.csv",
        "tidy.tex",
        "modes.csv",
        "modes.md",
        "scorecard.md",
        "left_out.csv",
    }
    for path in written:
        if path.suffix == ".md":
            text = path.read_text()
            assert "Test CPU" in text
            assert "torch 9.9" in text
            assert "1 measured, 1 skipped" in text
    assert "no \\| card" in (tmp_path / "left_out.md").read_text()


def test_the_same_records_give_the_same_tables(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, record(metric="modes_captured", value=9, seed=0, time="2026-01-01T00:00:00+00:00"))
        write_report(tmp_path / name, CARDS)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_no_records_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"records\.jsonl isn't there"):
        write_report(tmp_path, CARDS)


def test_the_tracked_documented_tables_are_what_the_cards_say(tmp_path: Path) -> None:
    own = [n for n in reference.names() if not n.startswith(("toy-", "my-"))]
    written = write_documented(tmp_path, [(name, reference.get(name).card) for name in own])
    assert written
    for path in written:
        tracked = ROOT / "reports" / "documented" / path.name
        assert tracked.read_text() == path.read_text(), "run: gan-harness tables --documented reports/documented"
    with (tmp_path / "memory.csv").open() as stream:
        assert ["handson-dcgan-mnist", "2048", "6011"] in list(csv.reader(stream))
