"""`gan-harness baseline accept`: records to hold later runs against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import app

baseline_app = typer.Typer(help="Keep records to hold later runs against.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


@baseline_app.command()
def accept(
    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest"),
    name: Annotated[str, typer.Option(help="What to call the baseline.")] = "main",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a baseline of this name.")] = False,
) -> None:
    """Promote a run's records to a baseline in reports/baselines/.

    Example: [bold]gan-harness baseline accept reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import accept as keep

    print(keep(folder, name, overwrite=overwrite))
