"""`gan-harness baseline`: records and bits to hold later runs against, more seeds of them, and what they are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app, command
from harness.comparison.options import Metrics
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


@dataclass(frozen=True)
class AddOptions:
    """What to add, and to which baseline."""

    folder: Annotated[Path, typer.Argument(help="A report folder: other seeds, or another training length.")]
    name: Annotated[str, typer.Option(help="The baseline.")] = "main"
    any_revision: Annotated[
        bool, typer.Option("--any-revision", help="Take it though it is of another commit: its bits are the same.")
    ] = False


@command("add", baseline_app)
def add(options: AddOptions) -> None:
    """Add seeds and training lengths to a baseline: reference convergence points, as many as there is time for.

    Example: [bold]gan-harness baseline add reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import add_to_baseline

    kept, new = add_to_baseline(options.folder, options.name, any_revision=options.any_revision)
    print(f"{kept}: {new} values added")


@dataclass(frozen=True)
class ShowOptions:
    """Which baseline, and which of its metrics."""

    name: Annotated[Path, typer.Argument(help="The name of a baseline, or a folder of records.")] = Path("main")
    metrics: Metrics = ""


@command("show", baseline_app)
def show(options: ShowOptions) -> None:
    """Show a baseline's convergence points: of each reference, training length and metric the values over seeds.

    Example: [bold]gan-harness baseline show main[/bold]
    """
    from harness.comparison.baseline import baseline_folder, read_record_set
    from harness.comparison.options import rule
    from harness.comparison.points import points_of, points_table
    from harness.comparison.rule import ALPHA, MARGIN
    from harness.reporting.console import new_console, new_table

    where = baseline_folder(options.name)
    points = points_of(read_record_set(where), rule(ALPHA, MARGIN, options.metrics))
    if not points:
        raise ValueError(f"{where} holds no trainings of which a metric takes part: --metrics names others")
    shown = points_table(points)
    table = new_table(*shown.columns)
    for row in shown.itertuples(index=False):
        table.add_row(*map(str, row))
    new_console().print(table)
