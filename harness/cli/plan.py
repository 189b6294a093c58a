"""`gan-harness plan`: what a run of the suites would do, before anything is rented."""

from __future__ import annotations

import sys
import tempfile

import typer

from harness.cli.app import app
from harness.cli.suites import call_suites


@app.command(
    "plan",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
def plan_run(context: typer.Context) -> None:
    """Say what `gan-harness suites` with the same options would do: units, operations, time, memory, disk.

    Steps are timed here, three of each training; with --steps-of FOLDER they are those of a report of test_speed.py, on
    whichever machine it was made. Memory is estimated as on a GPU. Nothing is written.

    Example: [bold]gan-harness plan --profile documented --seeds 5[/bold]

    Example: [bold]gan-harness plan --profile documented --steps-of reports/measured/nvidia-h100-80gb/speed[/bold]
    """
    with tempfile.TemporaryDirectory(prefix="gan-harness-") as folder:
        elsewhere = ["--report-dir", f"{folder}/report", f"--benchmark-storage=file://{folder}/benchmarks"]
        sys.exit(call_suites(["-q", *context.args, "--plan", *elsewhere]))
