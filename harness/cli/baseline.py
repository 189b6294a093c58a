"""`gan-harness baseline save`: records and bits to hold later runs against."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app, command
from harness.records.options import DataRoot

baseline_app = typer.Typer(help="Keep records to hold later runs against.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


@dataclass(frozen=True)
class BaselineOptions:
    """What to keep, and under which name."""

    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest")
    name: Annotated[str, typer.Option(help="What to call the baseline.")] = "main"
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a baseline of this name.")] = False
    first_steps: Annotated[
        int, typer.Option(help="Steps of each reference whose bits are kept, if code and machine are the report's.")
    ] = 3
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the trainings, as the suites' --runs: bits also from each of their checkpoints on."
        ),
    ] = None
    data_root: DataRoot = None

    def __post_init__(self) -> None:
        if self.first_steps < 0:
            raise ValueError(f"--first-steps must be 0 or more, not {self.first_steps}")
        if self.runs is not None and not self.runs.is_dir():
            raise ValueError(f"--runs {self.runs} isn't a folder of trainings")


@command("save", baseline_app)
def save(options: BaselineOptions) -> None:
    """Promote a run's records to a baseline in reports/baselines/, with the bits of each reference's first steps.

    A later run with --baseline that has the same bits is kept without training anything.

    Example: [bold]gan-harness baseline save reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import save_baseline
    from harness.comparison.kept_bits import keep_bits
    from harness.reporting.screen import showing

    kept = save_baseline(options.folder, options.name, overwrite=options.overwrite)
    print(kept)
    if options.first_steps:
        with showing():
            said = keep_bits(options.folder, kept, options.first_steps, options.data_root, options.runs)
        print(said, file=sys.stderr)
