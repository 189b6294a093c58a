"""`gan-harness`: run a command, and say in one line what a user got wrong."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from harness.cli import (
    app,
    baseline,
    batch_size,
    compare,
    complain,
    data,
    doctor,
    evaluate,
    list,
    memory,
    pack,
    sample,
    suites,
    tables,
    train,
)
from harness.reporting.console import in_words, print_anywhere

__all__ = [  # importing them enters their commands
    "baseline",
    "batch_size",
    "compare",
    "data",
    "doctor",
    "evaluate",
    "list",
    "main",
    "memory",
    "pack",
    "sample",
    "suites",
    "tables",
    "train",
]


def main() -> None:
    """Run a command; a user's mistake is one line and exit code 2, a failed check 1."""
    print_anywhere()
    # PyTorch is slow to import; every command but --help needs it.
    from harness.training.logger import NonFiniteError
    from harness.training.out_of_memory import device_trouble

    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except NonFiniteError as error:
        complain(f"training went wrong: {error}; the checkpoint before it is kept")
        sys.exit(1)
    except (ValueError, OSError) as error:
        if "--traceback" in sys.argv:
            traceback.print_exception(error)
        complain(in_words(error))
        sys.exit(getattr(error, "exit_code", 2))
    except (RuntimeError, MemoryError) as error:
        trouble = device_trouble(error)
        if trouble is None or "--traceback" in sys.argv:
            traceback.print_exception(error)
        if trouble is not None:
            complain(trouble)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # what typer raises for an unknown option or a word as a number
            complain(error.format_message())
        else:  # a stranger's mistake, or ours: where it was helps; Python's own 1 would say that a check failed
            traceback.print_exception(error)
        sys.exit(2)


@app.callback()
def common(
    show_traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error comes from.")] = False,
) -> None:
    """Options before the command; `main` looks for --traceback itself."""


if __name__ == "__main__":
    main()
