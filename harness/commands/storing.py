"""`data` and `pack`: stand-ins to try things on, and pictures stored so that no disk holds a training up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from harness.commands import app
from harness.console import new_console


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
    from harness.data.stand_ins import draw_into

    with _progress() as progress:
        task = progress.add_task(f"drawing {escape(kind)}", total=n)
        folder = draw_into(out, kind, n, seed, lambda done: progress.update(task, completed=done))
    print(f"{n} drawn: {folder}; use them with --data-root {out}")


@app.command()
def pack(
    source: Annotated[Path, typer.Argument(help="A folder of pictures, or an LMDB of them.")],
    dest: Annotated[
        Path | None, typer.Argument(help="The pack; default beside the source, where training finds it by itself.")
    ] = None,
    side: Annotated[int, typer.Option(help="Pixels: shorter side resized to it, then centre cropped.")] = 64,
    workers: Annotated[int | None, typer.Option(help="Processes that decode; default one for each core.")] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out pictures that can't be read, and list them.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the pack if it is there.")] = False,
) -> None:
    """Do the documents' resizing and cropping once, and keep the pixels in one file that is mapped into memory.

    Training on it gets the same bits in the same order as from the pictures, without decoding and without seeking.

    Example: [bold]gan-harness pack ~/data/celeba/img_align_celeba[/bold]
    """
    from harness.data.packing import pack_of, write_pack

    if side < 1:
        raise ValueError(f"--side must be 1 or more, not {side}")
    if workers is not None and workers < 0:
        raise ValueError(f"--workers must be 0 or more, not {workers}")
    usual = pack_of(source, side)
    path = dest or usual
    if path.is_dir():
        path = path / usual.name
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already; --overwrite replaces it")
    with _progress() as progress:
        task = progress.add_task(f"packing {escape(str(source))}", total=None)
        made = write_pack(
            source, path, side, workers=(os.cpu_count() or 1) if workers is None else workers,
            skip_damaged=skip_damaged,
            said=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    size = made.path.stat().st_size
    print(f"{path}: {made.samples} pictures of {side}×{side} pixels, {size / 1e6:,.1f} MB")
    if made.skipped:
        print(f"left out, because they can't be read: {len(made.skipped)}")
        for name in made.skipped:
            print(f"  {name}")
    if path.resolve() != usual.resolve():
        print(f"train with --pack {path}")


def _progress() -> Progress:
    console = new_console(stderr=True)
    return Progress(
        "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
