"""`list`, `doctor`, `tables`: what is here, and what came out."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from harness.commands import DataRoot, Device, Modules, app
from harness.console import new_console, new_table


@app.command("list")
def list_references(
    as_json: Annotated[bool, typer.Option("--json", help="Every card in full, as JSON.")] = False,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Show every reference and its variants.

    Example: [bold]gan-harness list[/bold]
    """
    import reference

    for module in reference_module:
        reference.load_module(module)
    cards = [(spec, reference.get(spec).card) for spec in reference.specs()]
    if as_json:
        described = [_strict({"spec": spec, **dataclasses.asdict(card)}) for spec, card in cards]
        print(json.dumps(described, indent=1, allow_nan=False))
        return
    table = new_table("reference", "data", "batch", "epochs", "what it is")
    for spec, card in cards:
        variant = spec.partition("@")[2]
        title = f"{card.title}; {card.variants[variant]}" if variant else card.title
        table.add_row(spec, card.dataset, str(card.batch_size), str(card.epochs), title)
    new_console().print(table)


@app.command()
def doctor(data_root: DataRoot = None) -> None:
    """Say what was found here: devices, data sets, weights, versions; and what each missing one means.

    Example: [bold]gan-harness doctor --data-root ~/data[/bold]
    """
    from harness.doctor import findings

    table = new_table("what", "found", "what it means")
    for finding in findings(data_root):
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        detail = finding.detail if finding.found else finding.detail.removeprefix("no ")
        table.add_row(finding.what, f"{mark} {escape(detail)}", escape(finding.meaning))
    new_console().print(table)


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
    from harness.reporting.pages import read_session, write_documented, write_report

    if what == "memory":
        from harness.measuring import Asked, write_memory_report

        asked = Asked(references, batch_sizes, device or "auto", data_root, out, tuple(reference_module))
        with new_console().status("starting") as status:
            written = write_memory_report(asked, lambda text: status.update(escape(text)))
    elif documented is not None:
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


def _strict(value: Any) -> Any:
    """`value` without what JSON lacks: an open bound becomes null."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value
