"""The log on a screen: with a terminal, and without one."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from harness.records.progress import HARNESS, report_progress
from harness.reporting.screen import showing

LOG = logging.getLogger(f"{HARNESS}.tests")


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=100, color_system=None), stream


def work() -> None:
    LOG.info("reading [the] pack of :smile: 3 × 3")
    for done in range(3):
        report_progress(LOG, "packing [faces]", done + 1, 3)
    LOG.warning("one is left out")
    LOG.debug("nobody wants to know")


def test_without_a_terminal_there_are_lines_and_nothing_that_moves() -> None:
    screen, stream = console(terminal=False)
    with showing(screen):
        work()
    assert stream.getvalue() == "reading [the] pack of :smile: 3 × 3\none is left out\n"


def test_on_a_terminal_a_bar_comes_and_goes() -> None:
    screen, stream = console(terminal=True)
    with showing(screen):
        work()
        shown = stream.getvalue()
    assert "packing [faces]" in shown
    assert "1/3" in shown
    assert "\x1b[?25l" in shown, "no cursor in a bar"
    assert stream.getvalue().endswith("\x1b[2K"), "the bar's line is cleared"
    assert "\x1b[?25h" in stream.getvalue().removeprefix(shown)


def test_another_piece_of_work_gets_another_bar() -> None:
    screen, stream = console(terminal=True)
    with showing(screen):
        report_progress(LOG, "generating", 5, 10)
        report_progress(LOG, "computing metrics")
        shown = stream.getvalue()
        report_progress(LOG, "training", 2, 4, detail="loss_g 0.5")
        report_progress(LOG, "training", 3, 4, detail="loss_g 0.4")
    assert "5/10" in shown
    later = stream.getvalue().removeprefix(shown)
    assert "training  loss_g 0.5" in later
    assert "2/4" in later
    assert "5/10" not in later


def test_only_progress_where_no_lines_are_wanted() -> None:
    screen, stream = console(terminal=True)
    with showing(screen, lines=False):
        work()
    assert "the] pack" not in stream.getvalue()
    assert "packing [faces]" in stream.getvalue()
    silent, stream = console(terminal=False)
    with showing(silent, lines=False):
        work()
    assert stream.getvalue() == ""


def test_the_log_is_left_as_it_was_also_by_what_fails() -> None:
    log = logging.getLogger(HARNESS)
    before = log.level, list(log.handlers)
    screen, stream = console(terminal=True)

    def fail() -> None:
        report_progress(LOG, "packing", 1, 3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), showing(screen):
        fail()
    assert (log.level, log.handlers) == before
    assert stream.getvalue().endswith("\x1b[2K")


def test_by_default_it_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with showing():
        LOG.info("to whoever looks")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "to whoever looks\n")
