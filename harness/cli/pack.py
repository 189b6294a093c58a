"""`gan-harness pack`: pictures stored so that no disk holds a training up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.reporting.screen import showing


@dataclass(frozen=True)
class PackOptions:
    """What to pack, and how.

    Raises:
        ValueError: a value out of its range.
    """

    source: Annotated[Path, typer.Argument(help="A folder of pictures, or an LMDB of them.")]
    dest: Annotated[
        Path | None, typer.Argument(help="The pack; default beside the source, where training finds it by itself.")
    ] = None
    side: Annotated[int, typer.Option(help="Pixels: shorter side resized to it, then centre cropped.")] = 64
    workers: Annotated[int | None, typer.Option(help="Processes that decode; default one for each core.")] = None
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out pictures that can't be read, and list them.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the pack if it is there.")] = False

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"--side must be 1 or more, not {self.side}")
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"--workers must be 0 or more, not {self.workers}")


@command("pack")
def pack(options: PackOptions) -> None:
    """Do the documents' resizing and cropping once, and keep the pixels in one file that is mapped into memory.

    Training on it gets the same bits in the same order as from the pictures, without decoding and without seeking.

    Example: [bold]gan-harness pack ~/data/celeba/img_align_celeba[/bold]
    """
    from harness.data.packing import pack_of, write_pack

    source, dest, side, workers = options.source, options.dest, options.side, options.workers
    usual = pack_of(source, side)
    path = dest or usual
    if path.is_dir():
        path = path / usual.name
    if path.exists() and not options.overwrite:
        raise ValueError(f"{path} is there already; --overwrite replaces it")
    with showing():
        made = write_pack(
            source,
            path,
            side,
            workers=(os.cpu_count() or 1) if workers is None else workers,
            skip_damaged=options.skip_damaged,
        )
    size = made.path.stat().st_size
    print(f"{path}: {made.samples} pictures of {side}×{side} pixels, {size / 1e6:,.1f} MB")
    if made.skipped:
        print(f"left out, because they can't be read: {len(made.skipped)}")
        for name in made.skipped:
            print(f"  {name}")
    if path.resolve() != usual.resolve():
        print(f"train with --pack {path}")
