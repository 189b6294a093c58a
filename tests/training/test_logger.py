"""The log of a run: what was said before there was a folder, what is said later, and what can't be written."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from harness.records.progress import HARNESS, report_progress
from harness.training.logger import RunLog

LOG = logging.getLogger(f"{HARNESS}.tests")


def test_what_was_said_before_there_was_a_file_stands_there_first(tmp_path: Path) -> None:
    log = logging.getLogger(HARNESS)
    before = log.level, list(log.handlers)
    with RunLog() as run_log:
        LOG.info("decided: %d", 1)
        LOG.debug("too much")
        report_progress(LOG, "reading", 1, 2)
        assert not list(tmp_path.iterdir())
        run_log.write_to(tmp_path / "log.txt")
        assert (tmp_path / "log.txt").read_text() == "decided: 1\n", "at once"
        LOG.warning("later")
        assert (tmp_path / "log.txt").read_text() == "decided: 1\nlater\n"
    LOG.warning("afterwards")
    assert (tmp_path / "log.txt").read_text().count("\n") == 2
    assert (log.level, log.handlers) == before


def test_a_second_run_in_the_folder_goes_on_in_the_file(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with RunLog() as run_log:
            run_log.write_to(tmp_path / "log.txt")
            LOG.info(text)
    assert (tmp_path / "log.txt").read_text() == "first\nsecond\n"


def test_a_run_that_never_gets_a_file_writes_none(tmp_path: Path) -> None:
    with RunLog():
        LOG.info("decided")
    assert not list(tmp_path.iterdir())


def test_whoever_logs_hears_of_a_full_disk() -> None:
    with RunLog() as run_log:
        run_log.write_to(Path("/dev/full"))
        with pytest.raises(OSError, match="No space left"):
            LOG.info("this goes nowhere")
