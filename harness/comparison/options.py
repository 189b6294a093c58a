"""What `gan-harness compare` and `gan-harness ab` are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.comparison.rule import ALPHA, MARGIN, Rule
from harness.records.options import DataRoot, Device, Modules, named_root
from harness.records.profiles import get_profile

Margin = Annotated[float, typer.Option(help="The change that doesn't matter, as a share of the base.")]
Alpha = Annotated[float, typer.Option(help="Chance of any false alarm in the whole comparison.")]
Metrics = Annotated[str, typer.Option(help="Shell patterns of metrics, such as 'fid,kid'; default the headline ones.")]
Out = Annotated[Path, typer.Option(help="Where the table, and revisions' records, go.")]
_OUT = Path("runs/compare")


def rule(alpha: float, margin: float, metrics: str) -> Rule:
    """How the verdicts are reached."""
    return Rule(alpha, margin, tuple(part.strip() for part in metrics.split(",") if part.strip()))


@dataclass(frozen=True)
class CompareOptions:
    """Two sets of records."""

    base: Annotated[Path, typer.Argument(help="A report folder, baseline or file of records.")]
    candidate: Annotated[Path, typer.Argument(help="The same for what is to be judged.")]
    margin: Margin = MARGIN
    alpha: Alpha = ALPHA
    metrics: Metrics = ""
    out: Out = _OUT

    @property
    def rule(self) -> Rule:
        """How the verdicts are reached."""
        return rule(self.alpha, self.margin, self.metrics)


@dataclass(frozen=True)
class RevisionOptions:
    """Two git revisions, which are trained or timed.

    Raises:
        ValueError: a value out of its range.
    """

    base: Annotated[str, typer.Argument(help="A git revision.")]
    candidate: Annotated[str, typer.Argument(help="The one that is to be judged.")]
    seeds: Annotated[
        int | None, typer.Option(help="Seeds to train on either side, at most; default 5, more for several references.")
    ] = None
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0
    references: Annotated[str, typer.Option(help="Which references, as for the suites.")] = "*"
    profile: Annotated[str, typer.Option(help="How much to train.")] = "smoke"
    margin: Margin = MARGIN
    alpha: Alpha = ALPHA
    metrics: Metrics = ""
    device: Device = "auto"
    data_root: DataRoot = None
    out: Out = _OUT
    speed: Annotated[
        bool, typer.Option("--speed", help="Time and memory of a step instead of quality: both sides in turn.")
    ] = False
    rounds: Annotated[int, typer.Option(help="With --speed: rounds of either side, in turn.")] = 20
    batch_size: Annotated[
        int | None, typer.Option(help="With --speed: default the document's, on a CPU what the profile affords.")
    ] = None
    first_steps: Annotated[
        int, typer.Option(help="Steps whose bits are compared before anything is trained; 0 trains at once.")
    ] = 3
    runs: Annotated[
        Path | None,
        typer.Option(help="Folder of the base's trainings, SPEC-seedN: bits also from each of their checkpoints on."),
    ] = None
    points: Annotated[
        Path | None,
        typer.Option(help="A baseline whose trainings stand for the base's: the candidate alone is trained."),
    ] = None
    dirty: Annotated[
        bool, typer.Option("--dirty", help="The candidate is what is checked out, with what isn't committed.")
    ] = False
    modules: Modules = ()

    def __post_init__(self) -> None:
        get_profile(self.profile)
        if self.first_steps < 0:
            raise ValueError(f"--first-steps must be 0 or more, not {self.first_steps}")
        if self.runs is not None and not self.runs.is_dir():
            raise ValueError(f"--runs {self.runs} isn't a folder of trainings")
        if (self.seeds is not None and self.seeds < 1) or self.first_seed < 0:
            raise ValueError(f"--seeds must be 1 or more and --first-seed 0 or more, not {self.seeds, self.first_seed}")
        if self.points is not None and self.speed:
            raise ValueError("--points has no effect with --speed: time is measured side by side")
        if self.rounds < 1:
            raise ValueError(f"--rounds must be 1 or more, not {self.rounds}")
        if self.batch_size is not None and not self.speed:
            raise ValueError("--batch-size has no effect without --speed")

    @property
    def rule(self) -> Rule:
        """How the verdicts are reached."""
        return rule(self.alpha, self.margin, self.metrics)

    @property
    def root(self) -> str | None:
        """The folder of data sets, wherever a process starts; None for stand-ins."""
        root = named_root(self.data_root)
        return str(root.resolve()) if root else None

    def for_suites(self, references: Sequence[str]) -> tuple[str, ...]:
        """What the suites of either side are told, to check these references."""
        told = ["--references", ",".join(references), "--profile", self.profile]
        told += ["--device", self.device] if self.device != "auto" else []
        told += ["--data-root", self.root] if self.root else []
        return (*told, *(part for module in self.modules for part in ("--reference-module", module)))
