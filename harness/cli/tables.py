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

    folders: Annotated[
        tuple[Path, ...],
        typer.Argument(
            help="A report folder; several: their figures in one table; reports/measured: the scorecard of all in it."
        ),
    ] = (Path("reports/latest"),)
    into: Annotated[
        Path | None, typer.Option(help="Where the one table of several reports goes, as CSV and LaTeX.")
    ] = None
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
    from harness.records.record import read_records
    from harness.records.report_folder import RECORDS, read_session
    from harness.reporting.pages import write_documented, write_evidence, write_report
    from harness.reporting.tidy import write_tidy

    folder = options.folders[0]
    # A variant has its system's card: the documents print each system once.
    all_cards = [(name, reference.get(name).card) for name in reference.names()]
    if options.documented is not None:
        written = write_documented(options.documented, all_cards)
    elif len(options.folders) > 1:
        if options.into is None:
            raise ValueError("several reports make one table, and --into FOLDER says where it goes")
        written = write_tidy(options.into, {str(at): read_records(at / RECORDS) for at in options.folders})
    elif options.into is not None:
        raise ValueError(f"--into takes the one table of several reports, and {options.folders[0]} is one alone")
    elif not (folder / RECORDS).is_file() and any(folder.glob(f"*/*/{RECORDS}")):
        written = write_evidence(folder, all_cards)
    else:
        session = read_session(folder)
        for module in (*session.modules, *options.modules):
            reference.load_module(module)
        written = write_report(folder, [(spec, reference.get(spec).card) for spec in session.specs])
    for path in written:
        print(path)
