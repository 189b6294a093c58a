from __future__ import annotations

from harness.records.metrics import FID
from harness.reporting.table import grouped, of_suite, spread, values_of
from tests.records.test_record import record


def test_spread_shows_the_median_and_the_range() -> None:
    assert spread([]) == ""
    assert spread([0.123456]) == "0.1235"
    assert spread([9, 7, 8]) == "8 (7 to 9)"


def test_records_are_chosen_by_suite_grouped_in_order_and_read_by_metric() -> None:
    records = [
        record(suite="quality", reference="b", metric="fid", value=2.0),
        record(suite="quality", reference="a", metric="fid", value=3.0),
        record(suite="quality", reference="b", metric="kid", value=4.0),
        record(suite="quality", reference="b", metric="test_x", value=None, status="failed", reason="x"),
        record(suite="modes", reference="b", metric="fid", value=9.0),
    ]
    chosen = of_suite(records, "quality")
    assert [r.value for r in chosen] == [2.0, 3.0, 4.0]
    groups = dict(grouped(chosen, lambda r: (r.reference,)))
    assert [key for (key,) in groups] == ["b", "a"]
    assert values_of(groups["b",], FID) == [2.0]
