"""`gan-harness merge`: the reports of all shards become one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.cli.suites import asked_of_suites, call_suites


@dataclass(frozen=True)
class MergeOptions:
    """Which shards, and where to."""

    folders: Annotated[tuple[Path, ...], typer.Argument(help="The report folders of all shards.")]
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("reports/latest")


@command("merge")
def merge(options: MergeOptions) -> None:
    """Make one report of what `gan-harness suites --shard I/N` left on several machines: as if one had done all.

    Refuses shards that are missing, there twice, unfinished, or of another run, code, data or card. What looks at the
    whole runs now; the exit code is that of the whole.

    Example: [bold]gan-harness merge shards/* --out reports/latest[/bold]
    """
    from harness.suite.merge import merge_parts

    whole = merge_parts(options.folders, options.out)
    sys.exit(call_suites([*asked_of_suites(whole.arguments), "--resume", "--report-dir", str(options.out)]))
