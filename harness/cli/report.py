"""`gan-harness report`: a run's page, or two runs side by side."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.records.options import Modules


@dataclass(frozen=True)
class ReportOptions:
    """Which runs."""

    folder: Annotated[Path, typer.Argument(help="A report's folder; of two runs, the one before.")] = Path(
        "reports/latest"
    )
    other: Annotated[
        Path | None, typer.Argument(help="Another run, to be held beside it: like the first a report or a training.")
    ] = None
    open: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False
    out: Annotated[Path, typer.Option(help="Where the page of two runs goes.")] = Path("reports/side-by-side")
    modules: Modules = ()


@command("report")
def report(options: ReportOptions) -> None:
    """Make a run's page again from its records, or one that shows two runs side by side; prints where it lies.

    Example: [bold]gan-harness report reports/latest --open[/bold]
    """
    import reference
    from harness.comparison.side_by_side import write_side_by_side
    from harness.records.report_folder import WEB_PAGE, read_session
    from harness.reporting.pages import write_report

    if options.other is not None:
        page = write_side_by_side(options.folder, options.other, options.out)
    else:
        asked = read_session(options.folder)
        for module in (*asked.modules, *options.modules):
            reference.load_module(module)
        write_report(options.folder, [(spec, reference.get(spec).card) for spec in asked.specs])
        page = options.folder / WEB_PAGE
    print(page)
    if options.open and not webbrowser.open(page.resolve().as_uri()):
        raise ValueError(f"no browser was found here; open {page.resolve()} in one")
