"""`gan-harness baseline save`: records to hold later runs against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app, command

baseline_app = typer.Typer(help="Keep records to hold later runs against.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


@dataclass(frozen=True)
class BaselineOptions:
    """What to keep, and under which name."""

    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest")
    name: Annotated[str, typer.Option(help="What to call the baseline.")] = "main"
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a baseline of this name.")] = False


@command("save", baseline_app)
def save(options: BaselineOptions) -> None:
    """Promote a run's records to a baseline in reports/baselines/.

    Example: [bold]gan-harness baseline save reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import save_baseline

    print(save_baseline(options.folder, options.name, overwrite=options.overwrite))
