"""`gan-harness tables`: a report's tables once more, from its records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import DataRoot, Device, Modules, app


@app.command()
def tables(
    what: Annotated[
        str, typer.Argument(help="A report folder with records.jsonl; or the word memory, to make that report.")
    ] = "reports/latest",
    documented: Annotated[
        Path | None, typer.Option(help="Write the documents' own figures into this folder instead.")
    ] = None,
    references: Annotated[
        str, typer.Option(help="For memory: only references that match; '*' with all variants.")
    ] = "",
    batch_sizes: Annotated[str, typer.Option(help="For memory: e.g. 64,128; default the documents'.")] = "",
    out: Annotated[Path, typer.Option(help="For memory: the report folder.")] = Path("reports/memory"),
    device: Device = None,
    data_root: DataRoot = None,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Make the tables of a report folder again, from its records alone; or those of memory by batch size.

    The latter are estimated on any machine, and measured where there is a GPU.

    Example: [bold]gan-harness tables reports/latest[/bold], [bold]gan-harness tables memory[/bold]
    """
    import reference
    from harness.records.report_folder import read_session
    from harness.reporting.pages import write_documented, write_report

    if what == "memory":
        from harness.cli.memory import memory

        memory(references, batch_sizes, out, device, data_root, reference_module)
        return
    if documented is not None:
        # A variant has its system's card: the documents print each system once.
        written = write_documented(documented, [(name, reference.get(name).card) for name in reference.names()])
    else:
        if references or batch_sizes:
            raise ValueError("--references and --batch-sizes play a part for `tables memory` alone")
        session = read_session(Path(what))
        for module in (*session["modules"], *reference_module):
            reference.load_module(module)
        written = write_report(Path(what), [(spec, reference.get(spec).card) for spec in session["specs"]])
    for path in written:
        print(path)
