"""`gan-harness history`: a metric over revisions, with its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.comparison.change_points import STEP_ALPHA
from harness.comparison.options import Metrics


@dataclass(frozen=True)
class HistoryOptions:
    """Which reports, and what of them."""

    folders: Annotated[tuple[Path, ...], typer.Argument(help="Folders of reports, or with reports below them.")]
    metrics: Metrics = ""
    alpha: Annotated[float, typer.Option(help="Chance of a step that isn't one, in each series.")] = STEP_ALPHA
    out: Annotated[Path, typer.Option(help="Where the table, the picture and the page go.")] = Path("runs/history")

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"--alpha must lie between 0 and 1, not {self.alpha}")
        if missing := [folder for folder in self.folders if not folder.is_dir()]:
            raise ValueError(f"{missing[0]} is no folder")


@command("history")
def history(options: HistoryOptions) -> None:
    """Show each metric over the revisions that reports were made of, and mark where its level steps.

    Reports must say of which commit they are; only what was measured in the same way on the same device is one series.

    Example: [bold]gan-harness history reports/nightly --metrics 'fid,kid'[/bold]
    """
    from harness.comparison.history import courses, read_history, write_history
    from harness.comparison.options import rule
    from harness.comparison.rule import MARGIN
    from harness.reporting.console import new_console

    asked = rule(0.05, MARGIN, options.metrics)
    found = courses(read_history(options.folders), asked, options.alpha)
    if not found:
        raise ValueError("nothing was measured in the same way at two revisions: there is no history yet")
    console = new_console()
    for course in found:
        for step in course.steps:
            console.print(f"{course.reference}, {course.series}: {course.said(step)}", soft_wrap=True, markup=False)
    if not any(course.steps for course in found):
        console.print(f"no step in {len(found)} series")
    print(write_history(found, options.out, options.alpha))
