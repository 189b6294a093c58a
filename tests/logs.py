"""Listening to the harness's log in tests."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from harness.records.progress import HARNESS, Progress, progress_in


class _Listener(logging.Handler):
    def __init__(self, level: int, heard: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(level)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard(record)


@contextlib.contextmanager
def listening(heard: Callable[[logging.LogRecord], None], level: int = logging.DEBUG) -> Iterator[None]:
    """`heard` gets each record as it is logged, and may raise."""
    log, listener = logging.getLogger(HARNESS), _Listener(level, heard)
    before = log.level
    log.setLevel(min(log.getEffectiveLevel(), level))
    log.addHandler(listener)
    try:
        yield
    finally:
        log.removeHandler(listener)
        log.setLevel(before)


@contextlib.contextmanager
def hearing(level: int = logging.INFO) -> Iterator[list[str]]:
    """The lines that are logged meanwhile; progress too where `level` is DEBUG."""
    lines: list[str] = []
    with listening(lambda record: lines.append(record.getMessage()), level):
        yield lines


@contextlib.contextmanager
def progress() -> Iterator[list[Progress]]:
    """How far things are, as it is reported meanwhile."""
    found: list[Progress] = []

    def heard(record: logging.LogRecord) -> None:
        one = progress_in(record)
        if one is not None:
            found.append(one)

    with listening(heard):
        yield found
