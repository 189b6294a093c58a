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
    modules = [import_module(f"harness.reporting.{m.name}") for m in pkgutil.iter_modules(harness.reporting.__path__)]
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
    assert filled or table.name in ("mutants", "training_rules", "golden"), "nothing that is tracked fills it"
    for one in filled:
        assert tuple(one.columns[: len(table.columns)]) == table.columns
