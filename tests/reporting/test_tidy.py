from __future__ import annotations

import io
import re
from statistics import median

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.record import UNREAD
from harness.reporting.tidy import figures, latex_table, rounded, tidy_table
from tests.records.test_record import record

SEEDS = [record(metric="fid", value=value, seed=seed, better="lower") for seed, value in enumerate([12.34, 11.8, 12.9])]


def test_seeds_make_one_figure_and_other_conditions_another() -> None:
    more = [record(metric="fid", value=5.0, epochs=3.0), record(metric="fid", value=6.0, device="NVIDIA H100")]
    assert [len(figure.values) for figure in figures([*SEEDS, *more])] == [3, 1, 1]


def test_what_cannot_be_read_is_no_figure() -> None:
    silent = [
        record(metric="fid", value=1.0, reason=f"{UNREAD}3 steps"),
        record(metric="fid", value=None, status="skipped", reason="no card"),
        record(metric="fid", value=float("nan")),
    ]
    assert figures(silent) == []
    assert tidy_table({"value": silent}).empty


def test_a_row_holds_numbers_that_other_programs_read_again() -> None:
    read = pd.read_csv(io.StringIO(tidy_table({"value": SEEDS}).to_csv(index=False)))
    (row,) = read.to_dict("records")
    assert [row[column] for column in ("value", "low", "high", "n")] == [12.34, 11.8, 12.9, 3]
    assert row["better"] == "lower"
    assert "report" not in read.columns
    assert set(tidy_table({"a": SEEDS, "b": SEEDS})["report"]) == {"a", "b"}


def test_several_reports_are_columns_of_one_table() -> None:
    other = [record(metric="fid", value=10.0, better="lower")]
    text = latex_table({"main": SEEDS, "my_change": other})
    assert r"& main & my\_change \\" in text
    (row,) = [line for line in text.splitlines() if line.startswith("toy-grid")]
    assert r"$\downarrow$" in row
    assert row.endswith(r"& 12.3 (11.8--12.9; n = 3) & 10 \\")
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))


def test_values_of_another_protocol_stand_in_a_row_of_their_own() -> None:
    other = [record(metric="fid", value=10.0, better="lower", protocol={"extractor": "another"})]
    text = latex_table({"a": SEEDS, "b": other})
    assert sum(line.startswith("toy-grid") for line in text.splitlines()) == 2


def test_latex_gets_no_character_that_would_mean_something_to_it() -> None:
    data = "50% of {A_1} & B # ~ ^ \\ $"
    body = latex_table({"v": [record(metric="fid", value=1.0, better="lower", data=data)]})
    assert r"50\% of \{A\_1\} \& B \# \textasciitilde{} \textasciicircum{} \textbackslash{} \$" in body


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.23456], "1.235"),
        ([2.0, 2.0], "2 (all 2)"),
        ([12.34, 11.8, 12.9], "12.3 (11.8 to 12.9; n = 3)"),
        ([1234.5, 1100.0, 1500.0], "1,230 (1,100 to 1,500; n = 3)"),
        ([0.00123, 0.00119, 0.0013], "0.00123 (0.00119 to 0.00130; n = 3)"),
    ],
)
def test_digits_follow_the_spread(values: list[float], said: str) -> None:
    assert rounded(values) == said


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_no_rounding_moves_a_value_by_more_than_a_tenth_of_the_spread(values: list[float]) -> None:
    span = max(values) - min(values)
    if span < 1e-3:
        return
    said = [
        float(number) for number in re.findall(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?", rounded(values).replace(",", ""))[:3]
    ]
    for shown, value in zip(said, (median(values), min(values), max(values)), strict=True):
        assert abs(shown - value) <= 0.1 * span + 1e-4
