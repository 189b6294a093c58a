"""What commands print on: a terminal's width where there is one, and nothing cut where there is none."""

from __future__ import annotations

import codecs
import sys
from dataclasses import replace

from rich.console import Console
from rich.table import Column, Table

_WIDE = 1000  # columns: logs and files have no edge
_PLAIN = {
    "…": "...",
    "×": "x",
    "±": "+/-",
    "−": "-",
    "–": "-",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "·": "-",
    "σ": "sigma",
    "α": "alpha",
    "β": "beta",
    "δ": "delta",
    "∞": "inf",
    "“": '"',
    "”": '"',
    "’": "'",
    "█": "#",
}


def new_console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDE)


def new_table(*columns: Column | str) -> Table:
    """A table that folds what a narrow terminal has no room for, where others cut it."""
    made = [Column(column) if isinstance(column, str) else column for column in columns]
    return Table(*(replace(column, overflow="fold", no_wrap=False) for column in made))


def in_words(error: BaseException) -> str:
    """An OSError without its number, anything else as it is."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def print_anywhere() -> None:
    """Let what a stream's encoding can't show be shown in its letters: logs may be ASCII."""
    codecs.register_error("gan-harness", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="gan-harness")


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end
