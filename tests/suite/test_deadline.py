from __future__ import annotations

import signal
import time

import pytest

from harness.suite.deadline import Deadline, TimeUp, parse_seconds
from tests.processes import in_a_process_of_its_own


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("55m", 3300), ("1h30m", 5400), ("2h", 7200), ("0.5 h", 1800)]
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "5d", "-3", "1h soon", "h", "1e3"])
def test_what_is_no_time_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="--time-limit takes 90s, 55m or 1h30m, not "):
        parse_seconds(text)


def test_without_a_limit_nothing_rings() -> None:
    deadline = Deadline(None)
    deadline.arm()
    deadline.check()
    deadline.disarm()
    assert not deadline.is_over


@in_a_process_of_its_own
def test_first_it_is_said_then_what_runs_is_given_up() -> None:
    """The process began long ago, so the time is over at once."""
    deadline = Deadline(0.2)
    deadline.arm()
    with pytest.raises(TimeUp):
        time.sleep(5)
    assert deadline.is_over
    with pytest.raises(TimeUp):
        deadline.check()
    deadline.disarm()


@in_a_process_of_its_own
def test_stopping_is_not_interrupted() -> None:
    deadline = Deadline(None, at=time.time() + 1000)
    deadline.arm()
    with deadline.until_stopped():
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0, "what ended well may still run out of time"
    with pytest.raises(KeyboardInterrupt), deadline.until_stopped():
        raise KeyboardInterrupt
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
