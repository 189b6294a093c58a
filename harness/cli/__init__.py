"""The commands of `gan-harness`, one file for each thing that people come for. Imports wait until one needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Does this GAN still do what its document says, and did my change make it worse?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Modules = Annotated[list[str], typer.Option("--reference-module", help="Module that registers more references.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets (MNIST/, celeba/, …); default is $GAN_HARNESS_DATA, else stand-ins."),
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; default auto.")]


def complain(text: str) -> None:
    """One line on standard error, however many `text` has."""
    print(f"gan-harness: {' '.join(text.split())}", file=sys.stderr)
