"""`gan-harness doctor`: what is here, and what each missing thing means."""

from __future__ import annotations

from dataclasses import dataclass

from rich.markup import escape

from harness.cli.app import command
from harness.records.options import DataRoot
from harness.reporting.console import new_console, new_table


@dataclass(frozen=True)
class DoctorOptions:
    """Where to look for data."""

    data_root: DataRoot = None


@command("doctor")
def doctor(options: DoctorOptions) -> None:
    """Say what was found here: devices, data sets, weights, versions; and what each missing one means.

    Example: [bold]gan-harness doctor --data-root ~/data[/bold]
    """
    from harness.cli.findings import findings

    table = new_table("what", "found", "what it means")
    for finding in findings(options.data_root):
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        detail = finding.detail if finding.found else finding.detail.removeprefix("no ")
        table.add_row(finding.what, f"{mark} {escape(detail)}", escape(finding.meaning))
    new_console().print(table)
