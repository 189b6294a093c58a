"""`gan-harness doctor`: what is here, and what each missing thing means."""

from __future__ import annotations

from rich.markup import escape

from harness.cli import DataRoot, app
from harness.reporting.console import new_console, new_table


@app.command()
def doctor(data_root: DataRoot = None) -> None:
    """Say what was found here: devices, data sets, weights, versions; and what each missing one means.

    Example: [bold]gan-harness doctor --data-root ~/data[/bold]
    """
    from harness.cli.findings import findings

    table = new_table("what", "found", "what it means")
    for finding in findings(data_root):
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        detail = finding.detail if finding.found else finding.detail.removeprefix("no ")
        table.add_row(finding.what, f"{mark} {escape(detail)}", escape(finding.meaning))
    new_console().print(table)
