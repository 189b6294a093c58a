"""`gan-harness promote`: a report becomes evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command


@dataclass(frozen=True)
class PromoteOptions:
    """Which report, and under which name."""

    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest")
    name: Annotated[
        str, typer.Option("--as", help="What to call it: NAME, below its machine, or MACHINE/NAME.", show_default=False)
    ] = ""


@command("promote")
def promote(options: PromoteOptions) -> None:
    """File a report under reports/measured/: from then on every scorecard shows what it has decided.

    It must be complete, of one machine and one commit. Nothing is overwritten; trainings are not copied.

    Example: [bold]gan-harness promote reports/latest --as trainings[/bold]
    """
    from harness.reporting.promotion import promote_report

    promoted = promote_report(options.folder, options.name)
    print(promoted.folder)
    if promoted.failed:
        print(f"it holds {promoted.failed} failed checks")
