"""What `gan-harness compare` and `pytest suites --baseline` do: find both sides, judge, show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.markup import escape

from harness.comparison.baseline import read_record_set
from harness.comparison.page import comparison_table
from harness.comparison.revisions import Measurement, measure_revisions
from harness.comparison.speed import Timing, pace_exit_code, pace_table, time_revisions
from harness.comparison.verdicts import ALPHA, Comparison, Rule, compare, exit_code, least_seeds, tally
from harness.data.registry import ROOT_VARIABLE, documented_samples
from harness.files.writing import free_name
from harness.memory.record import affordable_sizes
from harness.records.environment import device_name
from harness.records.profiles import get_profile
from harness.records.record import Record
from harness.records.report_folder import COMPARISON
from harness.reporting.console import new_table
from harness.reporting.pages import write_table
from harness.training.device import resolve_device
from harness.training.flops import step_operations
from harness.training.synthetic_step import check_batch_size
from reference import get, load_module, matching, specs

_SPEED = "speed"
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
    speed: bool = False
    rounds: int = 20
    batch_size: int | None = None

    def __post_init__(self) -> None:
        get_profile(self.profile)
        if self.seeds < 1 or self.first_seed < 0:
            raise ValueError(f"--seeds must be 1 or more and --first-seed 0 or more, not {self.seeds, self.first_seed}")
        if self.rounds < 1:
            raise ValueError(f"--rounds must be 1 or more, not {self.rounds}")
        if self.batch_size is not None and not self.speed:
            raise ValueError("--batch-size plays a part with --speed alone")

    @property
    def rule(self) -> Rule:
        """How the verdicts are reached."""
        patterns = tuple(part.strip() for part in self.metrics.split(",") if part.strip())
        return Rule(self.alpha, self.margin, patterns)


def compare_and_show(asked: Asked, console: Console) -> int:
    """Compare, print the table, and return the exit code."""
    if asked.speed:
        return _compare_speed(asked, console)
    rule = asked.rule
    base, candidate = _sides(asked, console)
    comparisons = compare(base, candidate, rule)
    show(comparisons, console, rule.alpha)
    heading = f"# {asked.candidate} against {asked.base}\n\n{tally(comparisons)}"
    _write_table(asked.out, COMPARISON, comparison_table(comparisons), heading, console)
    kept = "table" if _is_record_set(asked.base) else "records and table"
    console.print(f"{kept}: {escape(str(asked.out))}")
    return exit_code(comparisons)


def _write_table(out: Path, name: str, table: pd.DataFrame, heading: str, console: Console) -> None:
    """Write a table; what an earlier comparison wrote there is kept."""
    for earlier in (path for path in (out / f"{name}.csv", out / f"{name}.md") if path.exists()):
        kept = earlier.rename(free_name(earlier))
        console.print(f"an earlier table is kept: {escape(str(kept))}", soft_wrap=True)
    write_table(out, name, table, heading)


def _compare_speed(asked: Asked, console: Console) -> int:
    """Time two revisions' steps in turn."""
    for name in (asked.base, asked.candidate):
        if _is_record_set(name):
            raise ValueError(f"--speed compares git revisions, which it runs itself, not records: {name}")
    for module in asked.modules:
        load_module(module)
    rule, device = asked.rule, resolve_device(asked.device or "auto")
    chosen = [spec for spec in matching(specs(), asked.references) if "@" not in spec or asked.references != "*"]
    what = Timing(
        {spec: _batch_to_time(asked, spec, device) for spec in chosen},
        asked.rounds,
        str(device),
        asked.modules,
        rule.margin,
        rule.alpha,
    )
    with console.status("starting") as status:
        found = time_revisions(asked.base, asked.candidate, what, lambda text: status.update(escape(text)))
    table = pace_table(found)
    _print(table, [(pace.verdict, pace.memory_verdict) for pace in found], console)
    heading = f"# {asked.candidate} against {asked.base}: time and memory of a step, on {device_name(device)}"
    _write_table(asked.out, _SPEED, table, heading, console)
    console.print(f"table: {escape(str(asked.out / f'{_SPEED}.md'))}")
    return pace_exit_code(found)


def _batch_to_time(asked: Asked, spec: str, device: torch.device) -> int:
    """What was asked for; else the document's, on a CPU as much of it as the profile affords."""
    card = get(spec).card
    if asked.batch_size is not None:
        check_batch_size(asked.batch_size, card, documented_samples(card))
        return asked.batch_size
    if device.type == "cuda":
        return card.batch_size
    return affordable_sizes([card.batch_size], step_operations(get(spec), 1), get_profile(asked.profile).cell_flops)[0]


def _print(shown: pd.DataFrame, verdicts: Sequence[tuple[str, ...]], console: Console) -> None:
    """A table whose last columns are verdicts, in colour where they stand alone."""
    table = new_table(*shown.columns)
    for row, mine in zip(shown.itertuples(index=False), verdicts, strict=True):
        colours = {verdict: _COLOURS.get(verdict, "yellow") for verdict in mine}
        table.add_row(*(f"[{colours[c]}]{c}[/]" if c in colours else escape(str(c)) for c in row))
    console.print(table)


def show(comparisons: Sequence[Comparison], console: Console, alpha: float = ALPHA) -> None:
    """Print the verdicts."""
    shown = comparison_table(comparisons)
    table = new_table(*shown.columns)
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
    paired = all(c.paired for c in comparisons if c.test is not None)
    least = least_seeds(tested, alpha, paired=paired) if tested else 0
    if fewest < least:
        hint = f"; {tested} metrics together need {least} seeds a side before any can be called worse"
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
