from __future__ import annotations

import logging

import pytest

from harness.records.progress import Progress, progress_in, report_progress
from tests.logs import hearing, listening, progress

LOG = logging.getLogger("harness.tests")


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        (Progress("packing x", 3, 7), "packing x: 3 of 7"),
        (Progress("packing x", 0, 7, "a.png"), "packing x: 0 of 7, a.png"),
        (Progress("starting", 0, None), "starting"),
        (Progress("trying", 0, None, "batch 5"), "trying, batch 5"),
    ],
)
def test_progress_reads_as_a_line(reported: Progress, text: str) -> None:
    assert str(reported) == text
    with progress() as heard, hearing(logging.DEBUG) as lines:
        report_progress(LOG, reported.what, reported.done, reported.total, detail=reported.detail)
    assert heard == [reported]
    assert lines == [text]


def test_percent_signs_of_names_are_no_placeholders() -> None:
    with hearing(logging.DEBUG) as lines:
        report_progress(LOG, "packing 100 %d %s", 1, 2)
    assert lines == ["packing 100 %d %s: 1 of 2"]


def test_it_is_no_line_of_a_log_file_and_says_who_reports() -> None:
    records: list[logging.LogRecord] = []
    with hearing(logging.INFO) as lines, listening(records.append):
        report_progress(LOG, "packing", 1, 2)
        LOG.info("a line")
    assert lines == ["a line"]
    assert [record.levelname for record in records] == ["DEBUG", "INFO"]
    assert progress_in(records[0]) == Progress("packing", 1, 2)
    assert progress_in(records[1]) is None
    assert records[0].filename == "test_progress.py", "not the function that reports it"
