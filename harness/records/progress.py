"""How far a long piece of work is, for the log.

What was decided goes to `logging.getLogger(__name__)` at INFO, what somebody ought to look at at WARNING. Progress goes
the same way at DEBUG: a screen draws it as a line that changes, a log file leaves it out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

HARNESS = "harness"  # the logger above those of all modules
_KEY = "progress"


@dataclass(frozen=True)
class Progress:
    """`done` of `total` parts of something, None where nobody knows how many there will be; `detail` beside it."""

    what: str
    done: int
    total: int | None
    detail: str = ""

    def __str__(self) -> str:
        far = "" if self.total is None else f": {self.done} of {self.total}"
        return f"{self.what}{far}" + (f", {self.detail}" if self.detail else "")


def report_progress(
    log: logging.Logger, what: str, done: int = 0, total: int | None = None, *, detail: str = ""
) -> None:
    """Log how far something is; costs next to nothing where nobody listens."""
    if log.isEnabledFor(logging.DEBUG):
        progress = Progress(what, done, total, detail)
        log.debug("%s", progress, extra={_KEY: progress}, stacklevel=2)


def progress_in(record: logging.LogRecord) -> Progress | None:
    """What `report_progress` reported, None for any other line of a log."""
    found = getattr(record, _KEY, None)
    return found if isinstance(found, Progress) else None
