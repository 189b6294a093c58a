"""`gan-harness data`: stand-ins to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from harness.cli import app
from harness.reporting.console import new_progress


@app.command("data")
def draw_data(
    kind: Annotated[str, typer.Argument(help="faces (as CelebA), lsun-like (an LMDB, as LSUN) or pairs (as pix2pix).")],
    out: Annotated[Path, typer.Option(help="The data root to draw into; other data sets there stay.")],
    n: Annotated[int, typer.Option("--n", help="How many.")] = 1024,
    seed: Annotated[int, typer.Option(help="Another seed draws others.")] = 0,
) -> None:
    """Draw a stand-in in exactly the layout of the real data, so that real loading code can be tried.

    A file STAND-IN beside it says what it is: whatever is measured on it is marked, and decides no claim.

    Example: [bold]gan-harness data faces --out ~/drawn --n 2000[/bold]
    """
    from harness.data.synthetic import draw_into

    with new_progress() as progress:
        task = progress.add_task(f"drawing {escape(kind)}", total=n)
        folder = draw_into(out, kind, n, seed, lambda done: progress.update(task, completed=done))
    print(f"{n} drawn: {folder}; use them with --data-root {out}")
