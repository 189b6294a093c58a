"""The harness's log on a screen: its lines, and one line at the bottom that says how far something is."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from harness.records.progress import HARNESS, Progress, progress_in
from harness.reporting.console import new_console

_TEXT = TextColumn("{task.description}", markup=False)
_WITH_END: tuple[ProgressColumn, ...] = (_TEXT, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
_WITHOUT_END: tuple[ProgressColumn, ...] = (SpinnerColumn(), _TEXT)


class Screen(logging.Handler):
    """Prints what is logged at INFO and above, unless `lines` is False; progress only where there is a terminal."""

    def __init__(self, console: Console, *, lines: bool = True) -> None:
        super().__init__(logging.DEBUG if console.is_terminal else logging.INFO)
        self._console, self._lines = console, lines
        # A standard output that goes to a file isn't drawn into a bar on standard error.
        self._bar = Bar(
            *_WITHOUT_END, console=console, transient=True, redirect_stdout=not console.stderr, redirect_stderr=False
        )
        self._task: TaskID | None = None
        self._shown: tuple[str, int | None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line, or move the bar."""
        progress = progress_in(record)
        if progress is not None:
            self._move(progress)
        elif self._lines and record.levelno >= logging.INFO:
            self._console.print(record.getMessage(), markup=False, emoji=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bar.stop()
        super().close()

    def _move(self, progress: Progress) -> None:
        text = f"{progress.what}  {progress.detail}".rstrip()
        if self._task is None or self._shown != (progress.what, progress.total):
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._bar.columns = _WITHOUT_END if progress.total is None else _WITH_END
            self._shown = progress.what, progress.total
            self._task = self._bar.add_task(text, total=progress.total, completed=progress.done)
            self._bar.start()
            self._bar.refresh()
        self._bar.update(self._task, completed=progress.done, description=text)


@contextlib.contextmanager
def showing(console: Console | None = None, *, lines: bool = True) -> Iterator[None]:
    """Within, the harness's log is shown on `console`, by default standard error.

    Without `lines` only how far something is.
    """
    log, screen = logging.getLogger(HARNESS), Screen(console or new_console(stderr=True), lines=lines)
    before = log.level
    log.setLevel(min(log.getEffectiveLevel(), screen.level))
    log.addHandler(screen)
    try:
        yield
    finally:
        log.removeHandler(screen)
        log.setLevel(before)
        screen.close()
