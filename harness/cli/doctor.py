"""`gan-harness doctor`: what is here, and what each missing thing means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from harness.cli.app import command
from harness.records.options import DataRoot
from harness.reporting.console import new_console, new_table


@dataclass(frozen=True)
class DoctorOptions:
    """Where to look."""

    data_root: DataRoot = None
    address: Annotated[
        str | None, typer.Option(help="Look at every node of this Ray cluster; auto: the one of this node.")
    ] = None


@command("doctor")
def doctor(options: DoctorOptions) -> None:
    """Say what was found here: devices, data sets, weights, versions; and what each missing one means.

    With --address the same of every node of a Ray cluster: exit code 1 where they differ, for a run would refuse them.

    Example: [bold]gan-harness doctor --data-root ~/data[/bold]
    """
    if options.address is not None:
        _show_nodes(options.address, options.data_root)
        return
    from harness.cli.findings import findings

    table = new_table("what", "found", "what it means")
    for finding in findings(options.data_root):
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        detail = finding.detail if finding.found else finding.detail.removeprefix("no ")
        table.add_row(finding.what, f"{mark} {escape(detail)}", escape(finding.meaning))
    new_console().print(table)


def _show_nodes(address: str, root: Path | None) -> None:
    from harness.cli.nodes import STAND_IN, differences, nodes_at

    table = new_table("node", "GPUs", "device", "Python, PyTorch", "data")
    nodes = nodes_at(address, root)
    for node in nodes:
        versions = f"{node.facts['python']}, {node.facts['versions']['torch']}" if node.facts else ""
        found = ", ".join(name for name, place in node.data.items() if place != STAND_IN)
        cells = (node.name, f"{node.gpus:g}", str(node.facts.get("device", node.fault)), versions, found)
        table.add_row(*map(escape, cells))
    new_console().print(table)
    differ = differences(nodes)
    for line in differ:
        print(line)
    if differ:
        raise typer.Exit(1)
