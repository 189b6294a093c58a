"""`gan-harness sample`: what a run's newest checkpoint draws."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import DataRoot, Device, Modules, app, complain


@app.command()
def sample(
    run: Annotated[str, typer.Argument(help="A run folder, or a reference whose option names its weights.")],
    mode: Annotated[
        str, typer.Option(help="random, interpolate, arithmetic, semantic, conditional, roundtrip or inpaint.")
    ] = "random",
    n: Annotated[
        int | None, typer.Option("-n", "--count", help="How many samples, steps or rows; default the documents'.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="PNG to write; default RUN/MODE-seedS.png.")] = None,
    data_root: DataRoot = None,
    pack: Annotated[Path | None, typer.Option(help="Where the pack lies that the run was trained on.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="Latents to use, as an earlier call wrote them.")] = None,
    pick: Annotated[
        str, typer.Option(help="Vectors by number: 2,9 to interpolate, 0,6,8-1,2,4+3,4,6 for the arithmetic.")
    ] = "",
    way: Annotated[
        str | None, typer.Option(help="How to interpolate: ends, midpoints or spherical; default ends.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="For semantic: a file of 0 or 1 per sample.")] = None,
    attribute: Annotated[
        str, typer.Option(help="For semantic: label the samples by an attribute (Smiling) or a digit (3).")
    ] = "",
    digit: Annotated[int, typer.Option(help="The class that latents are looked at with, where there are classes.")] = 0,
    as_written: Annotated[
        bool | None,
        typer.Option("--as-written/--as-meant", help="The documents' slips in arithmetic and semantic, or not."),
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Take a reference's networks as drawn.")] = False,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Look at a run's newest checkpoint in the documents' ways: a picture, and the numbers beside it.

    Beside the picture lie the images (.npy), the latents (.txt and .safetensors) and what was computed (.json).

    Example: [bold]gan-harness sample runs/mlp --mode interpolate --pick 2,9[/bold]
    """
    from harness.latents.sample import Look, sample_run

    look = Look(
        mode=mode,
        count=n,
        seed=seed,
        device=device or "auto",
        out=out,
        data_root=data_root,
        vectors=vectors,
        pick=pick,
        way=way,
        labels=labels,
        attribute=attribute,
        digit=digit,
        as_written=as_written,
        untrained=untrained,
        modules=tuple(reference_module),
        pack=pack,
    )
    print(sample_run(run, look, complain))
