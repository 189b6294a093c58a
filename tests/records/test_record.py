from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.record import Record, append_record, read_records


def record(**changes: Any) -> Record:
    given: dict[str, Any] = {
        "suite": "modes",
        "reference": "toy-grid",
        "metric": "m",
        "value": 1.0,
        "unit": "",
        "better": "none",
        "status": "measured",
        "profile": "smoke",
        "data": "d",
        "device": "cpu",
        "environment": "e",
    }
    return Record(**(given | changes))


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_records_survive_the_file(tmp_path_factory: pytest.TempPathFactory, value: float, reason: str) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    written = record(value=value, reason=reason, protocol={"n": "10000"})
    append_record(path, written)
    append_record(path, record(metric="other"))
    assert read_records(path)[0] == written


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "guessed"}, "unknown status 'guessed'; there are: measured"),
        ({"better": "bigger"}, "unknown direction 'bigger'"),
        ({"value": None}, "a measured record needs a value"),
        ({"status": "skipped", "value": None}, "a skipped record needs a reason"),
    ],
)
def test_records_without_meaning_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record(**changes)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append_record(path, record())
    path.write_text(path.read_text() + '{"suite": "modes"}\n')
    with pytest.raises(ValueError, match="line 2: not a record"):
        read_records(path)
    with pytest.raises(ValueError, match="run `gan-harness suites` first"):
        read_records(tmp_path / "absent.jsonl")
