"""What `gan-harness explain-fid` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.evaluation.options import EvaluateOptions
from harness.records.options import DataRoot, Device, Modules


@dataclass(frozen=True)
class ExplainOptions:
    """Images, what they are held against, and the figure that is another; or two evaluations."""

    images: Annotated[
        str, typer.Argument(metavar="A", help="A folder of images or of a run, module:callable; or of an evaluation.")
    ]
    against: Annotated[
        str, typer.Argument(metavar="B", help="A reference (its data) or a folder of real images; or an evaluation.")
    ] = ""
    other: Annotated[float | None, typer.Option(help="The figure that is to be explained, somebody else's FID.")] = None
    count: Annotated[int, typer.Option("-n", "--count", help="How many images, at most.")] = 2000
    extractor: Annotated[str | None, typer.Option(help="Who looks; default what fits the data.")] = None
    extractor_weights: Annotated[
        Path | None, typer.Option(help="Published weights: a file, or a folder of such; those extractors look, too.")
    ] = None
    resize: Annotated[int | None, typer.Option(help="Bring pictures of folders to N×N first.")] = None
    pixels: Annotated[str, typer.Option("--range", help="Black and white of the images, e.g. -1,1.")] = ""
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0
    device: Device = "auto"
    data_root: DataRoot = None
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = Path("runs/explained")
    modules: Modules = ()

    def __post_init__(self) -> None:
        self.evaluation  # noqa: B018 what it refuses is refused here

    @property
    def evaluation(self) -> EvaluateOptions:
        """The same as for `evaluate`."""
        return EvaluateOptions(
            self.images,
            count=self.count,
            against=self.against,
            extractor=self.extractor,
            any_data=True,
            extractor_weights=self.extractor_weights,
            resize=self.resize,
            pixels=self.pixels,
            seed=self.seed,
            device=self.device,
            data_root=self.data_root,
            modules=self.modules,
        )
