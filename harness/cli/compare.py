"""`gan-harness compare`: did a change make it worse?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import DataRoot, Device, Modules, app
from harness.reporting.console import new_console


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
    import harness.comparison.compare

    asked = harness.comparison.compare.Asked(
        base,
        candidate,
        alpha=alpha,
        margin=margin,
        metrics=metrics,
        seeds=seeds,
        first_seed=first_seed,
        references=references,
        profile=profile,
        device=device,
        data_root=data_root,
        out=out,
        modules=tuple(reference_module),
        speed=speed,
        rounds=rounds,
        batch_size=batch_size,
    )
    sys.exit(harness.comparison.compare.compare_and_show(asked, new_console()))
