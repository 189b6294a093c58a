"""What `gan-harness compare` and `pytest suites --baseline` do: find both sides, judge, show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.comparison.baseline import read_record_set
from harness.comparison.page import comparison_table
from harness.comparison.revisions import Measurement, measure_revisions
from harness.comparison.verdicts import ALPHA, Comparison, Rule, compare, exit_code, least_seeds, tally
from harness.data.catalogue import ROOT_VARIABLE
from harness.files import write_text
from harness.profiles import get_profile
from harness.record import Record

_COLOURS = {"kept": "green", "better": "green", "worse": "red"}


@dataclass(frozen=True)
class Asked:
    """What a user asks for.

    Raises:
        ValueError: a value out of its range.
    """

    base: str
    candidate: str
    alpha: float
    margin: float
    metrics: str
    seeds: int
    first_seed: int
    references: str
    profile: str
    device: str | None
    data_root: Path | None
    out: Path
    modules: tuple[str, ...]

    def __post_init__(self) -> None:
        get_profile(self.profile)
        if self.seeds < 1 or self.first_seed < 0:
            raise ValueError(f"--seeds must be 1 or more and --first-seed 0 or more, not {self.seeds, self.first_seed}")

    @property
    def rule(self) -> Rule:
        """How the verdicts are reached."""
        patterns = tuple(part.strip() for part in self.metrics.split(",") if part.strip())
        return Rule(self.alpha, self.margin, patterns)


def compare_and_show(asked: Asked, console: Console) -> int:
    """Compare, print the table, and return the exit code."""
    rule = asked.rule
    base, candidate = _sides(asked, console)
    comparisons = compare(base, candidate, rule)
    show(comparisons, console, rule.alpha)
    if not _is_record_set(asked.base):
        table = comparison_table(comparisons)
        write_text(asked.out / "comparison.csv", table.to_csv(index=False))
        write_text(asked.out / "comparison.md", table.to_markdown(index=False, disable_numparse=True) + "\n")
        console.print(f"records and table: {escape(str(asked.out))}")
    return exit_code(comparisons)


def show(comparisons: Sequence[Comparison], console: Console, alpha: float = ALPHA) -> None:
    """Print the verdicts."""
    shown = comparison_table(comparisons)
    table = Table(*shown.columns)
    for comparison, row in zip(comparisons, shown.itertuples(index=False), strict=True):
        colour = _COLOURS.get(comparison.verdict, "yellow")
        *cells, verdict = (escape(str(cell)) for cell in row)
        table.add_row(*cells, f"[{colour}]{verdict}[/{colour}]")
    console.print(table)
    console.print(summary(comparisons, alpha))


def summary(comparisons: Sequence[Comparison], alpha: float = ALPHA) -> str:
    """The tally, and what more seeds would bring."""
    tested = sum(comparison.test is not None for comparison in comparisons)
    fewest = min((min(len(c.base), len(c.candidate)) for c in comparisons if c.test is not None), default=0)
    hint = ""
    if tested and fewest < least_seeds(tested, alpha):
        hint = (
            f"; {tested} metrics together need {least_seeds(tested, alpha)} seeds a side before any can be called worse"
        )
    return tally(comparisons) + hint


def _sides(asked: Asked, console: Console) -> tuple[list[Record], list[Record]]:
    kinds = {_is_record_set(asked.base), _is_record_set(asked.candidate)}
    if kinds == {True}:
        return read_record_set(Path(asked.base)), read_record_set(Path(asked.candidate))
    if kinds == {True, False}:
        missing = asked.candidate if _is_record_set(asked.base) else asked.base
        raise ValueError(f"{missing} isn't there: records can be compared with records, revisions with revisions")
    root = asked.data_root or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)
    options = ["--references", asked.references, "--profile", asked.profile]
    options += ["--device", asked.device] if asked.device else []
    options += ["--data-root", str(root.resolve())] if root else []
    options += [part for module in asked.modules for part in ("--reference-module", module)]
    what = Measurement(asked.seeds, asked.first_seed, tuple(options))
    with console.status("starting") as status:
        return measure_revisions(asked.base, asked.candidate, what, asked.out, lambda text: status.update(escape(text)))


def _is_record_set(name: str) -> bool:
    return Path(name).exists()
