"""Options that several commands have, spelt alike: the fields of their dataclasses are annotated with these."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.records.metrics import DETERMINISTIC

CUDNN_BENCHMARK = "cudnn-benchmark"  # of --numerics, beside `deterministic`
ROOT_VARIABLE = "GAN_HARNESS_DATA"
AUTO, NEVER = "auto", "never"  # of packs
PREFETCH = 2  # batches that each worker reads ahead

Modules = Annotated[tuple[str, ...], typer.Option("--reference-module", help="Module that registers more references.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of data sets (MNIST/, celeba/, …); default is $GAN_HARNESS_DATA, else stand-ins."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
NumericsOption = Annotated[
    str, typer.Option(help="On CUDA: deterministic, or cudnn-benchmark as the documents compute.")
]


def named_root(given: Path | None) -> Path | None:
    """The data root that was given, else that of the environment; None for stand-ins."""
    return given or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)


def is_deterministic(numerics: str) -> bool:
    """What `--numerics` means.

    Raises:
        ValueError: it is neither.
    """
    if numerics not in (DETERMINISTIC, CUDNN_BENCHMARK):
        raise ValueError(f"--numerics must be {DETERMINISTIC} or {CUDNN_BENCHMARK}, not {numerics!r}")
    return numerics == DETERMINISTIC
