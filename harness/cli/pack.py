"""`gan-harness pack`: pictures stored so that no disk holds a training up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.records.options import DataRoot, Modules
from harness.reporting.screen import showing


@dataclass(frozen=True)
class PackOptions:
    """What to pack, and how.

    Raises:
        ValueError: a value out of its range.
    """

    source: Annotated[
        Path, typer.Argument(help="A folder of pictures, an LMDB of them, or a reference that brings its own data.")
    ]
    dest: Annotated[
        Path | None,
        typer.Argument(help="The pack; default beside pictures, where training finds it. Of own data: a folder."),
    ] = None
    side: Annotated[int, typer.Option(help="Pixels of pictures: shorter side resized to it, then centre cropped.")] = 64
    workers: Annotated[int | None, typer.Option(help="Processes that decode; default one for each core.")] = None
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out pictures that can't be read, and list them.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the pack if it is there.")] = False
    data_root: DataRoot = None
    modules: Modules = ()
    given: frozenset[str] = frozenset()

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

    if options.modules and not options.source.exists():
        _pack_own(options)
        return
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


def _pack_own(options: PackOptions) -> None:
    """What a reference's own `data(root)` returns, item by item."""
    from harness.data.own_pack import write_own_pack
    from harness.data.registry import brings_data, data_root
    from reference import get, load_module

    for name in sorted(options.given & {"side", "workers", "skip_damaged"}):
        raise ValueError(f"--{name.replace('_', '-')} is for pictures: own data is packed as its items are")
    for module in options.modules:
        load_module(module)
    chosen = get(str(options.source))
    if not brings_data(chosen):
        raise ValueError(f"{chosen.card.name} brings no data of its own: pack the folder of its pictures")
    if options.dest is None:
        raise ValueError(f"say where the pack of {chosen.card.name}'s own data goes: a folder, as the second argument")
    with showing():
        root = data_root(options.data_root, own=True)
        made = write_own_pack(chosen, root, options.dest, overwrite=options.overwrite)
    size = sum(file.stat().st_size for file in options.dest.iterdir())
    print(f"{options.dest}: {len(made)} items of {made.title}, {size / 1e6:,.1f} MB")
    print(f"train with --pack {options.dest}")
