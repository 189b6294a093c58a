"""`evaluate`, `compare`, `baseline accept`: how good samples are, and whether a change made them worse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column

from harness.commands import DataRoot, Device, Modules, app
from harness.console import new_console, new_table

baseline_app = typer.Typer(help="Keep records to hold later runs against.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


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
    from harness.evaluating import Question
    from harness.evaluating import evaluate as measure

    question = Question(
        count=n, seed=seed, device=device or "auto", data_root=data_root, against=against, extractor=extractor,
        inception=inception_weights, value_range=_range(value_range), out=out, name=name,
        modules=tuple(reference_module), any_data=any_data, pack=pack,
    )  # fmt: skip
    console = new_console()
    with console.status("starting") as status:
        answer = measure(target, question, lambda text: status.update(escape(text)))
    table = new_table("metric", Column("value", justify="right"), "unit", "better")
    for found in answer.values:
        if found.measured.name != "class_share":
            table.add_row(found.metric, f"{found.measured.value:.5g}", found.measured.unit, found.measured.better)
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


@app.command()
def compare(
    base: Annotated[str, typer.Argument(help="A report folder, baseline or file of records; or a git revision.")],
    candidate: Annotated[str, typer.Argument(help="The same for what is to be judged.")],
    margin: Annotated[float, typer.Option(help="The change that doesn't matter, as a share of the base.")] = 0.1,
    alpha: Annotated[float, typer.Option(help="Chance of any false alarm in the whole comparison.")] = 0.05,
    metrics: Annotated[str, typer.Option(help="Shell patterns of metrics; default the headline ones.")] = "",
    seeds: Annotated[int, typer.Option(help="For revisions: seeds to train on either side.")] = 8,
    first_seed: Annotated[int, typer.Option(help="For revisions: the first seed.")] = 0,
    references: Annotated[str, typer.Option(help="For revisions: which references, as for pytest suites.")] = "*",
    profile: Annotated[str, typer.Option(help="For revisions: how much to train.")] = "smoke",
    device: Device = None,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option(help="Where revisions' records and the table go.")] = Path("runs/compare"),
    speed: Annotated[
        bool, typer.Option("--speed", help="For revisions: time and memory of a step instead of quality.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="With --speed: rounds of either side, in turn.")] = 20,
    batch_size: Annotated[
        int | None, typer.Option(help="With --speed: default the document's, on a CPU what the profile affords.")
    ] = None,
    reference_module: Modules = [],  # noqa: B006 - typer reads it and never changes it
) -> None:
    """Say whether CANDIDATE kept what BASE had: kept, better, worse, inconclusive or not comparable, per metric.

    Exit code 0: nothing got worse; 1: something did; 10: inconclusive, or not comparable.

    Example: [bold]gan-harness compare reports/baselines/main reports/latest[/bold]
    """
    import harness.comparison.command

    asked = harness.comparison.command.Asked(
        base, candidate, alpha=alpha, margin=margin, metrics=metrics, seeds=seeds, first_seed=first_seed,
        references=references, profile=profile, device=device, data_root=data_root, out=out,
        modules=tuple(reference_module), speed=speed, rounds=rounds, batch_size=batch_size,
    )  # fmt: skip
    sys.exit(harness.comparison.command.compare_and_show(asked, new_console()))


@baseline_app.command()
def accept(
    folder: Annotated[Path, typer.Argument(help="A report folder.")] = Path("reports/latest"),
    name: Annotated[str, typer.Option(help="What to call the baseline.")] = "main",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a baseline of this name.")] = False,
) -> None:
    """Promote a run's records to a baseline in reports/baselines/.

    Example: [bold]gan-harness baseline accept reports/latest --name main[/bold]
    """
    from harness.comparison.baseline import accept as keep

    print(keep(folder, name, overwrite=overwrite))


def _range(text: str) -> tuple[float, float] | None:
    """`-1,1` as two numbers."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--range takes two numbers such as -1,1, not {text!r}") from None
    return low, high
