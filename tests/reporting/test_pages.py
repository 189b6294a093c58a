from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import reference
from harness.records.record import append_record
from harness.reporting.pages import write_documented, write_report
from harness.reporting.tables import determinism_table, modes_table, shapes_table, training_table
from tests.records.test_record import record

CARDS = [(name, reference.get(name).card) for name in ("mlp-gan-mnist", "idl-gan-grid", "toy-grid")]
ROOT = Path(__file__).parents[2]


def write(folder: Path, *records: Any) -> None:
    for entry in records:
        append_record(folder / "records.jsonl", entry)
    facts = {"processor": "Test CPU", "cores": 2, "memory_gib": 4, "device": "Test CPU", "versions": {"torch": "9.9"}}
    (folder / "environment.json").write_text(json.dumps({"e": facts}))


def test_every_table_names_the_machine_and_counts_what_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        record(metric="modes_hq_9", value=9, seed=0, n=10_000, epochs=20.0, reference="idl-gan-grid"),
        record(suite="shapes", metric="test_x", value=None, status="skipped", reason="no | card"),
    )
    written = write_report(tmp_path, CARDS)
    assert {p.name for p in written} >= {"report.md", "modes.csv", "modes.md", "scorecard.md", "left_out.csv"}
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
        write(tmp_path / name, record(metric="modes_hq_9", value=9, seed=0, time="2026-01-01T00:00:00+00:00"))
        write_report(tmp_path / name, CARDS)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_modes_are_summarised_over_seeds() -> None:
    records = [
        record(metric="modes_mass_9", value=v, seed=s, n=10_000, epochs=20.0, reference="idl-gan-grid")
        for s, v in enumerate((1, 3, 2))
    ]
    (row,) = modes_table(records, CARDS).to_dict("records")
    assert row["modes with mass (of 9)"] == "2 (1 to 3)"
    assert (row["seeds"], row["epochs"]) == (3, "20")


def test_determinism_shows_the_first_difference() -> None:
    common = {"suite": "determinism", "unit": "yes/no", "protocol": {"numerics": "deterministic", "steps": "4"}}
    records = [
        record(metric="same_bits_again", value=1.0, **common),
        record(metric="same_bits_two_workers", value=0.0, reason="step 2: network/generator/w", **common),
    ]
    (row,) = determinism_table(records, CARDS).to_dict("records")
    assert row["again"] == "yes"
    assert row["2 workers"] == "NO: step 2: network/generator/w"


def test_shapes_stand_beside_the_documents() -> None:
    common = {"suite": "shapes", "protocol": {"network": "generator"}, "reference": "mlp-gan-mnist"}
    records = [
        record(metric="parameters_generator", value=283_920, unit="parameters", **common),
        record(metric="layer_mismatches_generator", value=2, unit="layers", batch_size=3, **common),
    ]
    (row,) = shapes_table(records, CARDS).to_dict("records")
    assert row["parameters, measured"] == "283920"
    assert row["parameters, documented"] == 283_920
    assert row["wrong layer shapes"] == "2"


def test_the_training_table_says_what_was_not_reached() -> None:
    records = [
        record(suite="training", reference="mlp-gan-mnist", metric="log_D(x)_e0_s300", value=0.97, epochs=1.0),
        record(suite="training", reference="mlp-gan-mnist", metric="last_epoch_D(x)", value=0.9, epochs=1.0),
    ]
    rows = training_table(records, CARDS).to_dict("records")
    found = {(r["where"], r["quantity"]): (r["documented"], r["measured"]) for r in rows}
    assert found["epoch 0, step 300", "D(x)"] == ("0.98", "0.97")
    assert found["epoch 199, step 600", "D(x)"] == ("0.7", "not reached")
    assert found["mean over the last 1 of 1 epochs", "D(x)"] == ("", "0.9")


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
