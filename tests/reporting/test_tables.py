"""Every table: none is forgotten, and each keeps its promises."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

import harness.reporting
from harness.records.record import read_records
from harness.reporting.table import Table
from harness.reporting.tables import TABLE_NAMES, TABLES
from reference import get, specs
from tests.records.test_record import record
from tests.reporting.test_measured import MEASURED

CARDS = [(spec, get(spec).card) for spec in specs()]


def test_names_and_titles_are_given_once() -> None:
    assert len(set(TABLE_NAMES)) == len({table.title for table in TABLES}) == len(TABLES)


def test_every_table_that_a_module_defines_is_in_the_report() -> None:
    found = [m.name for m in pkgutil.iter_modules(harness.reporting.__path__) if m.name != "tidy"]  # for other programs
    modules = [import_module(f"harness.reporting.{name}") for name in found]
    makers = {
        name
        for module in modules
        for name, _ in inspect.getmembers(module, inspect.isfunction)
        if name.endswith("_table") and name not in ("write_table", "new_table")
    }
    assert {table.make.__name__ for table in TABLES} == makers


@pytest.mark.parametrize("table", [table for table in TABLES if table.name != "scorecard"], ids=lambda t: t.name)
def test_no_records_give_an_empty_table_and_a_note_that_holds(table: Table) -> None:
    assert table.make([], []).empty
    assert "nan" not in table.note([], [])


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_a_table_begins_with_the_columns_that_it_names(table: Table) -> None:
    skipped = record(suite="quality", metric="test_quality", value=None, status="skipped", reason="x")
    made = [table.make([*read_records(folder / "records.jsonl"), skipped], CARDS) for folder in MEASURED]
    filled = [one for one in made if not one.empty]
    unfilled = ("mutants", "training_rules", "golden", "published_modes", "published_quality", "watchdog")
    assert filled or table.name in unfilled, "nothing that is tracked fills it"
    for one in filled:
        assert tuple(one.columns[: len(table.columns)]) == table.columns


def test_a_value_that_says_nothing_is_in_no_table_and_is_counted() -> None:
    why = "checks the code alone: trained for 8 of 390 steps"
    noise = [record(suite="modes", metric=m, value=1.0, seed=0, reason=why) for m in ("modes_captured", "reverse_kl")]
    tables = {table.name: table for table in TABLES}
    assert tables["modes"].make(noise, CARDS).empty
    (row,) = tables["left_out"].make(noise, CARDS).to_dict("records")
    found = (row["check"], row["count"], row["status"], row["reason"])
    assert found == ("modes_captured, reverse_kl", 2, "not shown", why)
