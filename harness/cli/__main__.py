"""`gan-harness`: run a command, and say in one line what a user got wrong."""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
from typing import Annotated

import typer

from harness.cli import (
    ab,
    baseline,
    batch_size,
    bisect,
    card,
    compare,
    doctor,
    evaluate,
    explain_fid,
    fetch,
    history,
    list,
    make_data,
    memory,
    merge,
    pack,
    plan,
    promote,
    report,
    sample,
    suites,
    tables,
    train,
)
from harness.cli.aliases import translate
from harness.cli.app import app, complain
from harness.reporting.console import in_words, print_anywhere

__all__ = [  # importing them enters their commands
    "ab",
    "baseline",
    "batch_size",
    "bisect",
    "card",
    "compare",
    "doctor",
    "evaluate",
    "explain_fid",
    "fetch",
    "history",
    "list",
    "main",
    "make_data",
    "memory",
    "merge",
    "pack",
    "plan",
    "promote",
    "report",
    "sample",
    "suites",
    "tables",
    "train",
]


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2, a failed check 1."""
    print_anywhere()
    words, notes = translate(sys.argv[1:])
    for note in notes:
        complain(note)
    try:
        code = app(words, standalone_mode=False)
    except Exception as error:
        if "--traceback" in sys.argv:
            traceback.print_exception(error)
        code = _explain(error)
    except KeyboardInterrupt:
        complain("interrupted")
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Say in one line what went wrong; returns the exit code."""
    if isinstance(error, typer.Abort):
        complain("interrupted")
        return 130
    if hasattr(error, "format_message"):  # what typer raises for an unknown option or a word as a number
        if message := error.format_message():  # empty where the help was asked for by saying nothing
            complain(message)
        return 2
    # PyTorch is slow to import, and --help needs none of it.
    from harness.training.logger import NonFiniteError
    from harness.training.out_of_memory import device_trouble

    if isinstance(error, NonFiniteError):
        complain(f"training went wrong: {error}; checkpoints before it are kept, if there were any")
        return 1
    if isinstance(error, ValueError | OSError):
        complain(in_words(error))
        return getattr(error, "exit_code", 2)
    trouble = device_trouble(error) if isinstance(error, RuntimeError | MemoryError) else None
    if trouble is not None:
        complain(trouble)
    elif "--traceback" not in sys.argv:  # a stranger's mistake, or ours: where it was helps
        traceback.print_exception(error)
    return 2  # Python's own 1 would say that a check failed


def _print_version(asked: bool) -> None:
    if asked:
        print(f"gan-harness {importlib.metadata.version('gan-harness')}")
        raise typer.Exit


@app.callback()
def common(
    show_traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error comes from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command; `main` looks for --traceback itself."""


if __name__ == "__main__":
    main()
