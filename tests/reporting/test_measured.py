"""What was measured and is tracked: records of every version are read, and every name in them is of today."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.records.metrics import METRICS
from harness.records.record import RECORD_VERSION, read_records

ROOT = Path(__file__).parents[2]
MEASURED = sorted(path.parent for path in (ROOT / "reports" / "measured").rglob("records.jsonl"))


def test_there_is_something() -> None:
    assert len(MEASURED) >= 5


@pytest.mark.parametrize("folder", MEASURED, ids=lambda f: str(f.relative_to(ROOT / "reports" / "measured")))
def test_what_is_tracked_is_read_in_the_words_of_today(folder: Path) -> None:
    records = read_records(folder / "records.jsonl")
    assert records
    for record in records:
        assert record.version == RECORD_VERSION
        if record.status not in ("skipped", "failed"):
            assert record.metric in METRICS, f"{record.metric} of {record.suite}"
            metric = METRICS[record.metric]
            assert record.unit == metric.unit, record.metric
            assert record.better in (metric.better, "none"), record.metric
