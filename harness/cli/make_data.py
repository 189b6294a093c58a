"""`gan-harness make-data`: stand-ins to try things on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.reporting.screen import showing


@dataclass(frozen=True)
class DataOptions:
    """Which data to draw, and where."""

    kind: Annotated[str, typer.Argument(help="faces (as CelebA), lsun-like (an LMDB, as LSUN) or pairs (as pix2pix).")]
    out: Annotated[Path, typer.Option(help="The data root to draw into; other data sets there stay.")]
    count: Annotated[int, typer.Option("-n", "--count", help="How many.")] = 1024
    seed: Annotated[int, typer.Option(help="Another seed draws others.")] = 0


@command("make-data")
def make_data(options: DataOptions) -> None:
    """Draw a stand-in in exactly the layout of the real data, so that real loading code can be tried.

    A file STAND-IN beside it says what it is: whatever is measured on it is marked, and decides no claim.

    Example: [bold]gan-harness make-data faces --out ~/drawn -n 2000[/bold]
    """
    from harness.data.synthetic import draw_into

    kind, n = options.kind, options.count
    with showing():
        folder = draw_into(options.out, kind, n, options.seed)
    print(f"{n} drawn: {folder}; use them with --data-root {options.out}")
