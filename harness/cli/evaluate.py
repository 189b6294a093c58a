"""`gan-harness evaluate`: how good samples are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column

from harness.cli import DataRoot, Device, Modules, app
from harness.reporting.console import new_console, new_table


@app.command()
def evaluate(
    target: Annotated[str, typer.Argument(help="A run folder, a folder of images, or module:callable.")],
    n: Annotated[int | None, typer.Option("-n", "--count", help="How many samples; default 10,000, or all.")] = None,
    against: Annotated[
        str, typer.Option(help="For images that come from no run: a reference (its data), or a folder of real images.")
    ] = "",
    extractor: Annotated[
        str | None, typer.Option(help="mnistnet, digitsnet, facesnet or inception; default what fits the data.")
    ] = None,
    any_data: Annotated[
        bool, typer.Option("--any-data", help="Let the extractor look at data that it wasn't trained on.")
    ] = False,
    inception_weights: Annotated[
        Path | None, typer.Option(help="File of Inception's weights; default torch-fidelity's own. Never fetched.")
    ] = None,
    value_range: Annotated[
        str,
        typer.Option("--range", help="Black and white of the images, e.g. -1,1; default: of --against, bytes 0,255."),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    device: Device = None,
    data_root: DataRoot = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; default the run's, or runs/evaluated/NAME.")
    ] = None,
    pack: Annotated[Path | None, typer.Option(help="Where the pack lies that the run was trained on.")] = None,
    name: Annotated[str, typer.Option(help="Its name in the records, for compare; default where it comes from.")] = "",
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Measure sample quality: FID, KID, IS, precision, recall, classes covered, distance to training images.

    Of a run also FID and KID before its first step: what is no better says nothing of a change.

    A callable gets (n, seed) and returns n images: uint8, or floats in the range declared.

    Example: [bold]gan-harness evaluate my_package.my_gan:generate --against idl-gan-mnist -n 1000[/bold]
    """
    from harness.evaluation.evaluate import Question
    from harness.evaluation.evaluate import evaluate as measure
    from harness.records.metrics import CLASS_SHARE, series

    question = Question(
        count=n,
        seed=seed,
        device=device or "auto",
        data_root=data_root,
        against=against,
        extractor=extractor,
        inception=inception_weights,
        value_range=_range(value_range),
        out=out,
        name=name,
        modules=tuple(reference_module),
        any_data=any_data,
        pack=pack,
    )
    console = new_console()
    with console.status("starting") as status:
        answer = measure(target, question, lambda text: status.update(escape(text)))
    table = new_table("metric", Column("value", justify="right"), "unit", "better")
    for found in answer.values:
        if found.metric is not CLASS_SHARE:
            named = series(found.metric.name, found.protocol)
            table.add_row(named, f"{found.value:.5g}", found.metric.unit, found.metric.better)
    compared = (
        f"{answer.n} of {answer.given} images, evenly spread" if answer.n < answer.given else f"{answer.n} images"
    )
    console.print(f"{escape(answer.name)}, {compared}, against {escape(answer.data)}")
    console.print(table)
    if answer.note:
        console.print(escape(answer.note), soft_wrap=True)
    if answer.why_no_start:
        console.print(f"not measured before training: {escape(answer.why_no_start)}", soft_wrap=True)
    if answer.missing is not None:
        console.print(f"missing classes: {', '.join(answer.missing) or 'none'}")
    if answer.kept is not None:
        console.print(f"the figures that were there before are kept: {escape(str(answer.kept))}", soft_wrap=True)
    print(answer.records)


def _range(text: str) -> tuple[float, float] | None:
    """`-1,1` as two numbers."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--range takes two numbers such as -1,1, not {text!r}") from None
    return low, high
