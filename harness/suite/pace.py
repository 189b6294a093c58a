"""A line a minute while the suites run: how many checks have ended, what runs now, and how long the rest will take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from harness.records.progress import progress_in

EVERY = 60.0  # seconds


class Pace(logging.Handler):
    """Says how far a run is, at most once in `every` seconds: when a check ends, and while a long one reports progress.

    Args:
        say: what takes a line.
        within: whether it may be said in the middle of a check.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        within: bool,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.DEBUG)
        self._say, self._within, self._every, self._clock = say, within, every, clock
        self._began = self._said = clock()
        self._total = self._done = 0
        self._running = ""

    def start(self, total: int) -> None:
        """So many checks will run, from now on."""
        self._total, self._began, self._said = total, self._clock(), self._clock()

    def begins(self, check: str) -> None:
        """A check begins."""
        self._running = check

    def ended(self) -> None:
        """The check that ran has ended."""
        self._done += 1
        if self._due():
            self._speak("")

    def emit(self, record: logging.LogRecord) -> None:
        """Take what somebody reports of how far it is."""
        progress = progress_in(record)
        if progress is not None and self._within and self._due():
            self._speak(f", {progress}")

    def _due(self) -> bool:
        return self._clock() - self._said >= self._every

    def _speak(self, detail: str) -> None:
        self._said = self._clock()
        passed = self._said - self._began
        rest = passed / self._done * (self._total - self._done) if self._done else None
        left = f"about {in_minutes(rest)} left at this pace" if rest is not None else "no check has ended yet"
        self._say(
            f"gan-harness: {self._done} of {self._total} checks after {in_minutes(passed)}, {left}; "
            f"now {self._running}{detail}"
        )


def in_minutes(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
