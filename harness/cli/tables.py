"""`gan-harness tables`: a report's tables once more, from its records alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.records.options import Modules


@dataclass(frozen=True)
class TablesOptions:
    """Which report."""

    folder: Annotated[
        Path,
        typer.Argument(help="A report folder, or reports/measured: the scorecard of all reports in it."),
    ] = Path("reports/latest")
    documented: Annotated[
        Path | None, typer.Option(help="Write the documents' own figures into this folder instead.")
    ] = None
    modules: Modules = ()


@command("tables")
def tables(options: TablesOptions) -> None:
    """Make the tables of a report folder again, from its records alone.

    Example: [bold]gan-harness tables reports/latest[/bold]
    """
    import reference
    from harness.records.report_folder import RECORDS, read_session
    from harness.reporting.pages import write_documented, write_evidence, write_report

    # A variant has its system's card: the documents print each system once.
    all_cards = [(name, reference.get(name).card) for name in reference.names()]
    if options.documented is not None:
        written = write_documented(options.documented, all_cards)
    elif not (options.folder / RECORDS).is_file() and any(options.folder.glob(f"*/*/{RECORDS}")):
        written = write_evidence(options.folder, all_cards)
    else:
        session = read_session(options.folder)
        for module in (*session.modules, *options.modules):
            reference.load_module(module)
        written = write_report(options.folder, [(spec, reference.get(spec).card) for spec in session.specs])
    for path in written:
        print(path)
