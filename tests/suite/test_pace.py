from __future__ import annotations

import logging

import pytest

from harness.records.progress import report_progress
from harness.suite.pace import Pace, in_minutes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def started(said: list[str], clock: Clock, *, within: bool = True) -> Pace:
    pace = Pace(said.append, within=within, clock=clock)
    pace.start(10)
    pace.begins("modes: test_modes[toy-0]")
    return pace


def test_a_line_a_minute_says_how_far_and_how_long_still() -> None:
    said: list[str] = []
    clock = Clock()
    pace = started(said, clock)
    for _ in range(4):
        clock.now += 30
        pace.ended()
    assert said == [
        "gan-harness: 2 of 10 checks after 60 s, about 4 min left at this pace; now modes: test_modes[toy-0]",
        "gan-harness: 4 of 10 checks after 2 min, about 3 min left at this pace; now modes: test_modes[toy-0]",
    ]


@pytest.mark.parametrize("within", [True, False])
def test_a_long_check_says_what_it_reports_unless_a_terminal_draws_it(within: bool) -> None:
    said: list[str] = []
    clock = Clock()
    pace = started(said, clock, within=within)
    log = logging.getLogger("harness.test_pace")
    log.setLevel(logging.DEBUG)
    log.addHandler(pace)
    try:
        report_progress(log, "training", 5, 100)
        clock.now = 61
        log.debug("not progress")
        report_progress(log, "training", 50, 100)
        report_progress(log, "training", 51, 100)
    finally:
        log.removeHandler(pace)
    line = "gan-harness: 0 of 10 checks after 61 s, no check has ended yet; now modes: test_modes[toy-0], training: "
    assert said == ([f"{line}50 of 100"] if within else [])


@pytest.mark.parametrize(("seconds", "said"), [(5, "5 s"), (95, "2 min"), (3600 * 3 + 20 * 60, "3 h 20 min")])
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert in_minutes(seconds) == said
