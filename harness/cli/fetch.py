"""`gan-harness fetch`: data and weights of others, when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command, complain
from harness.records.options import ROOT_VARIABLE, DataRoot


@dataclass(frozen=True)
class FetchOptions:
    """What to fetch, and where to."""

    name: Annotated[str, typer.Argument(help="mnist, celeba, lsun, inception, vgg19 or pgan.")]
    data_root: DataRoot = None


@command("fetch")
def fetch(options: FetchOptions) -> None:
    """Download a data set or weights from where their authors keep them, checked against the checksums they publish.

    Nothing else downloads anything, ever. What arrives is complete, or nothing is there.

    Example: [bold]gan-harness fetch mnist --data-root ~/data[/bold]
    """
    from harness.data.fetch import DOWNLOADS
    from harness.data.fetch import fetch as fetch_now

    named = os.environ.get(ROOT_VARIABLE)
    root = options.data_root or (Path(named) if named else None)
    if options.name in DOWNLOADS:
        complain(f"fetching {DOWNLOADS[options.name].what}; licence: {DOWNLOADS[options.name].terms}")
    place = fetch_now(options.name, root)
    print(f"{place}: {DOWNLOADS[options.name].use.format(place=place)}")
