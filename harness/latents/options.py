"""What `gan-harness sample` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from harness.records.options import DataRoot, Device, Modules

Mode = Literal["random", "interpolate", "arithmetic", "semantic", "conditional", "roundtrip", "inpaint"]
Interpolation = Literal["ends", "midpoints", "spherical"]
_MAX_SAMPLES = 100_000
# Which modes an option speaks to; one that changes nothing is a mistake.
_APPLIES_TO = {
    "interpolation": ("interpolate",),
    "pick": ("interpolate", "arithmetic"),
    "labels": ("semantic",),
    "attribute": ("semantic",),
    "literal": ("arithmetic", "semantic"),
}


@dataclass(frozen=True)
class SampleOptions:
    """The options of the command, and of the ways of sampling. None and "" mean the documents' own choice.

    As written (`literal`), the noise of the arithmetic has mean −1 and a semantic vector is zero; None does the first
    as written and the second as meant.

    Raises:
        ValueError: a value out of its range, named with the choices.
    """

    run: Annotated[str, typer.Argument(help="A run folder, or REFERENCE@weights=FILE.")]
    mode: Annotated[str, typer.Option(help=f"{', '.join(get_args(Mode)[:-1])} or {get_args(Mode)[-1]}.")] = "random"
    count: Annotated[
        int | None, typer.Option("-n", "--count", help="How many samples, steps or rows; default the documents'.")
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0
    device: Device = "auto"
    out: Annotated[
        Path | None,
        typer.Option(help="PNG to write; default RUN/MODE-seedS.png; RUN/sample-seedS.png of random ones."),
    ] = None
    data_root: DataRoot = None
    pack: Annotated[Path | None, typer.Option(help="Where the pack lies that the run was trained on.")] = None
    latents: Annotated[Path | None, typer.Option(help="Latents to use, as an earlier call wrote them.")] = None
    pick: Annotated[
        str, typer.Option(help="Latents by number: 2,9 to interpolate, 0,6,8-1,2,4+3,4,6 for the arithmetic.")
    ] = ""
    interpolation: Annotated[
        str | None, typer.Option(help=f"How to interpolate: {', '.join(get_args(Interpolation))}; default ends.")
    ] = None
    labels: Annotated[Path | None, typer.Option(help="For semantic: a file of 0 or 1 per sample.")] = None
    attribute: Annotated[
        str, typer.Option(help="For semantic: label the samples by an attribute (Smiling) or a digit (3).")
    ] = ""
    label: Annotated[int, typer.Option(help="The class that latents are looked at with, where there are classes.")] = 0
    literal: Annotated[
        bool | None,
        typer.Option("--literal/--corrected", help="The documents' slips in arithmetic and semantic, or not."),
    ] = None
    untrained: Annotated[bool, typer.Option("--untrained", help="Take a reference's networks as drawn.")] = False
    modules: Modules = ()

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"unknown sampling mode {self.mode!r}; there are: {', '.join(get_args(Mode))}")
        for option, modes in _APPLIES_TO.items():
            if getattr(self, option) not in (None, "") and self.mode not in modes:
                raise ValueError(f"--{option} has no effect in the mode {self.mode}, only in {', '.join(modes)}")
        if self.interpolation is not None and self.interpolation not in get_args(Interpolation):
            choices = ", ".join(get_args(Interpolation))
            raise ValueError(f"unknown interpolation {self.interpolation!r}; there are: {choices}")
        if self.count is not None and not 1 <= self.count <= _MAX_SAMPLES:
            raise ValueError(f"--count must be from 1 to {_MAX_SAMPLES}, not {self.count}")
        if not 0 <= self.seed < 2**62:
            raise ValueError(f"--seed must be from 0 to 2^62, not {self.seed}")
        if self.out is not None and (self.out.suffix != ".png" or (self.out.exists() and not self.out.is_file())):
            raise ValueError(f"--out must name a .png file, not {self.out}")

    @property
    def path(self) -> Interpolation:
        """How to interpolate."""
        return next((path for path in get_args(Interpolation) if path == self.interpolation), "ends")
