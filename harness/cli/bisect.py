"""`gan-harness bisect`: the commit at which a GAN became another one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import command
from harness.comparison.options import Metrics, RevisionOptions
from harness.records.options import DataRoot, Device, Modules


@dataclass(frozen=True)
class BisectOptions:
    """Between which revisions, and what of them."""

    good: Annotated[str, typer.Argument(help="A revision that was as it should be.")]
    bad: Annotated[str, typer.Argument(help="A later one that isn't.")]
    reference: Annotated[str, typer.Option(help="Which one: a spec.")]
    seeds: Annotated[
        int | None, typer.Option(help="Where several commits change bits: train so many seeds of each to tell.")
    ] = None
    metrics: Metrics = ""
    profile: Annotated[str, typer.Option(help="How much to train.")] = "smoke"
    first_steps: Annotated[int, typer.Option(help="Steps whose bits are compared.")] = 3
    device: Device = "auto"
    data_root: DataRoot = None
    out: Annotated[Path, typer.Option(help="Where records of trainings go.")] = Path("runs/bisect")
    modules: Modules = ()

    def __post_init__(self) -> None:
        if self.first_steps < 1:
            raise ValueError(f"--first-steps must be 1 or more, not {self.first_steps}")
        if self.seeds is not None and self.seeds < 2:
            raise ValueError(f"--seeds must be 2 or more, not {self.seeds}")

    @property
    def revisions(self) -> RevisionOptions:
        """The same as for `ab`."""
        return RevisionOptions(
            self.good,
            self.bad,
            seeds=self.seeds,
            references=self.reference,
            profile=self.profile,
            metrics=self.metrics,
            device=self.device,
            data_root=self.data_root,
            first_steps=self.first_steps,
            modules=self.modules,
        )


@command("bisect")
def bisect(options: BisectOptions) -> None:
    """Find the commit that made a reference compute something else, by the bits of its first steps.

    Where one commit alone changes them, it is that one; no training is needed. Where several do, they are named, and
    --seeds trains before and after each, and says at which of them a metric steps.

    Exit code 0: found; 10: the same bits, or several commits and nothing that tells.

    Example: [bold]gan-harness bisect v1.0 HEAD --reference my-gan --reference-module my_gan[/bold]
    """
    from harness.comparison.bisect import BitsOfCommits, changes, commits_between, levels
    from harness.comparison.first_steps import FirstSteps
    from harness.comparison.revisions import Measurement
    from harness.comparison.verdicts import OPEN
    from harness.reporting.console import new_console
    from harness.reporting.screen import showing

    asked = options.revisions
    steps = FirstSteps(options.reference, options.modules, None, options.first_steps, options.device, asked.root)
    commits = commits_between(options.good, options.bad)
    bits, console = BitsOfCommits(commits, steps), new_console()
    with showing():
        places = changes(bits.key, 0, len(commits) - 1)
        found = [bits.change(place) for place in places]
    console.print(f"{len(commits)} commits, {len(bits)} of them asked", markup=False)
    if not places:
        console.print(f"{options.good} and {options.bad} compute the same: what has changed isn't in the first steps")
        sys.exit(OPEN)
    for change in found:
        console.print(f"{change.commit[:10]} {change.subject}\n  {change.reason}", markup=False, soft_wrap=True)
    if len(places) == 1:
        return
    if options.seeds is None:
        console.print(f"{len(places)} commits change bits, and no others can be it: --seeds N tells which")
        sys.exit(OPEN)
    what = Measurement(options.seeds, asked.first_seed, (options.reference,), asked.for_suites)
    with showing():
        told = levels(commits, places, what, asked.rule, options.out)
    for level in told:
        means = " → ".join(f"{sum(values) / len(values):.4g}" for values in level.values)
        where = ", ".join(commits[place][:10] for place in level.steps) or "no step that so many seeds tell"
        console.print(f"{level.series}: {means}: {where}", markup=False, soft_wrap=True)
    sys.exit(0 if any(level.steps for level in told) else OPEN)
