"""What `gan-harness evaluate` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.records.options import DataRoot, Device, Modules

_SMALLEST, _LARGEST = 8, 4096


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of the command, and of `evaluate`.

    Raises:
        ValueError: a value out of its range.
    """

    target: Annotated[
        str,
        typer.Argument(help="A folder of a run, a kept generator or images; REFERENCE@weights=FILE; module:callable."),
    ]
    count: Annotated[int | None, typer.Option("-n", "--count", help="How many samples; default 10,000, or all.")] = None
    against: Annotated[
        str, typer.Option(help="For images that come from no run: a reference (its data), or a folder of real images.")
    ] = ""
    held_out: Annotated[
        Path | None, typer.Option(help="A folder of real images that nothing was trained on; default MNIST's test set.")
    ] = None
    extractor: Annotated[
        str | None,
        typer.Option(help="mnistnet, celebanet, facesnet, inception, dinov2-…, clip-…; default what fits."),
    ] = None
    any_data: Annotated[
        bool, typer.Option("--any-data", help="Let the extractor look at data that it wasn't trained on.")
    ] = False
    extractor_weights: Annotated[
        Path | None,
        typer.Option(
            "--extractor-weights",
            "--inception-weights",
            help="Published weights (Inception, DINOv2, CLIP, LPIPS): a file, or a folder of such. Never fetched.",
        ),
    ] = None
    resize: Annotated[
        int | None,
        typer.Option(help="Bring pictures of folders to N×N, the shorter side first; the figures say so."),
    ] = None
    pixels: Annotated[
        str,
        typer.Option("--range", help="Black and white of the images, e.g. -1,1; default: of --against, bytes 0,255."),
    ] = ""
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0
    device: Device = "auto"
    data_root: DataRoot = None
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; default the run's, or runs/evaluated/NAME.")
    ] = None
    add: Annotated[
        bool, typer.Option("--add", help="Put the records beside those in --out instead of these aside.")
    ] = False
    pack: Annotated[Path | None, typer.Option(help="Where the pack lies that the run was trained on.")] = None
    name: Annotated[str, typer.Option(help="Its name in the records, for compare; default where it comes from.")] = ""
    modules: Modules = ()

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"--count must be 1 or more, not {self.count}")
        if self.resize is not None and not _SMALLEST <= self.resize <= _LARGEST:
            raise ValueError(f"--resize must be from {_SMALLEST} to {_LARGEST}, not {self.resize}")
        if self.add and self.out is None:
            raise ValueError("--add needs --out: the folder whose records these belong to")
        if not 0 <= self.seed < 2**62:
            raise ValueError(f"--seed must be from 0 to 2^62, not {self.seed}")
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ValueError(f"--range must be two rising numbers such as -1,1, not {self.pixels}")

    @property
    def value_range(self) -> tuple[float, float] | None:
        """What values mean, black and white; None for the usual range."""
        if not self.pixels:
            return None
        try:
            low, high = (float(part) for part in self.pixels.split(","))
        except ValueError:
            raise ValueError(f"--range takes two numbers such as -1,1, not {self.pixels!r}") from None
        return low, high
