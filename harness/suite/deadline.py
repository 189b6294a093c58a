"""A run's time limit: it stops in order before the time is over, so that another goes on."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from types import FrameType

import psutil

_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|min|m|s|)")
# What stopping in order and the report may take: a share of the limit, between so many seconds.
_SHARE, _LEAST, _MOST = 0.1, 10.0, 60.0
STOPPED = 11  # the exit code; 0 to 5 are pytest's own


class TimeUp(KeyboardInterrupt):
    """The time is over: the check that runs is given up, and done again by whoever goes on."""


def parse_seconds(text: str) -> float:
    """Seconds, of `90`, `90s`, `55m`, `1h30m` or `2h`.

    Raises:
        ValueError: it is none of these, or nothing.
    """
    parts = _PART.findall(text.strip().lower())
    whole = re.sub(r"\s+", "", text.lower())
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not seconds or "".join(number + unit for number, unit in parts) != whole:
        raise ValueError(f"--time-limit takes 90s, 55m or 1h30m, not {text!r}")
    return seconds


class Deadline:
    """When a process must have ended.

    Before that, `is_over` says that nothing new should begin and that trainings should stop with a checkpoint; whatever
    still runs when half of the time for stopping has gone is given up.

    Args:
        seconds: since the process began; None for no limit.
        at: when it must have ended, since the epoch, where another process has decided that.
    """

    def __init__(self, seconds: float | None, *, at: float | None = None) -> None:
        self.is_over = False
        began = psutil.Process().create_time()
        self.at = at if at is not None or seconds is None else began + seconds
        whole = 0.0 if self.at is None else max(self.at - began, 0.0)
        self._stopping = min(max(_LEAST, _SHARE * whole), _MOST, whole / 2)

    def arm(self) -> None:
        """Let the clock speak in this process: a fork has none."""
        if self.at is not None:
            signal.signal(signal.SIGALRM, self._ring)
            left = self.at - self._stopping - time.time()
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))

    def check(self) -> None:
        """Between two checks.

        Raises:
            TimeUp: no other should begin.
        """
        if self.is_over:
            self.disarm()
            raise TimeUp

    def disarm(self) -> None:
        """Nothing is interrupted from now on."""
        if self.at is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def until_stopped(self) -> Iterator[None]:
        """When something ends the block early, stopping the others isn't interrupted."""
        try:
            yield
        except BaseException:
            self.disarm()
            raise

    def _ring(self, _: int, __: FrameType | None) -> None:
        if self.is_over:
            raise TimeUp
        self.is_over = True
        signal.setitimer(signal.ITIMER_REAL, self._stopping / 2 or 0.001)
