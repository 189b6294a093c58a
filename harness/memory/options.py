"""What `gan-harness memory` and `gan-harness batch-size` are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.records.options import CUDNN_BENCHMARK, DataRoot, Device, Modules, NumericsOption, is_deterministic


@dataclass(frozen=True)
class MemoryOptions:
    """The tables of memory by batch size; "" stands for every system, and for the documents' batch sizes."""

    references: Annotated[str, typer.Option(help="Only references that match; '*' with all variants.")] = ""
    batch_sizes: Annotated[str, typer.Option(help="Such as 64,128; default the documents'.")] = ""
    out: Annotated[Path, typer.Option(help="The report folder.")] = Path("reports/memory")
    device: Device = "auto"
    data_root: DataRoot = None
    modules: Modules = ()


@dataclass(frozen=True)
class BatchSizeOptions:
    """The search for the largest batch that fits.

    Raises:
        ValueError: a value out of its range, or options that exclude each other.
    """

    name: Annotated[str, typer.Argument(help="A reference, e.g. handson-dcgan-mnist.")]
    budget: Annotated[
        str, typer.Option(help="Memory to stay within, e.g. 8GiB: estimated, no GPU needed. Default: try on the GPU.")
    ] = ""
    cuda_context: Annotated[
        str, typer.Option(help="With --budget: what the CUDA context takes of it, as a card measured it: 500MiB.")
    ] = ""
    device: Device = "auto"
    numerics: NumericsOption = CUDNN_BENCHMARK
    steps: Annotated[int, typer.Option(help="On the GPU: steps to time at each size.")] = 10
    time_limit: Annotated[
        float | None, typer.Option(help="On the GPU: seconds after which no further size is tried.")
    ] = None
    plot: Annotated[Path | None, typer.Option(help="PNG for the memory curve.")] = None
    modules: Modules = ()

    def __post_init__(self) -> None:
        if self.plot is not None and self.plot.suffix != ".png":
            raise ValueError(f"--plot must name a .png file, not {self.plot}")
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise ValueError(f"--time-limit must be more than 0 seconds, not {self.time_limit:g}")
        if self.cuda_context and not self.budget:
            raise ValueError("--cuda-context has no effect without --budget: on a GPU the context is measured")
        is_deterministic(self.numerics)

    @property
    def deterministic(self) -> bool:
        """How the GPU computes."""
        return is_deterministic(self.numerics)
