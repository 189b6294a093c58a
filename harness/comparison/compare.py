"""What `gan-harness compare`, `gan-harness ab` and the suites' `--baseline` do: find both sides, judge, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.markup import escape

from harness.comparison.baseline import baseline_folder, read_record_set
from harness.comparison.bits import (
    SAME_BITS,
    RevisionBits,
    bits_exit_code,
    compare_bits,
    compute_on_both,
    without_first_steps,
)
from harness.comparison.comment import comparison_comment
from harness.comparison.first_steps import FirstSteps, chosen
from harness.comparison.options import CompareOptions, RevisionOptions
from harness.comparison.page import comparison_table
from harness.comparison.points import points_of, seeds_to_judge
from harness.comparison.revisions import OTHER_SEEDS, Measurement, commit_of, measure_revisions, trees_of
from harness.comparison.rule import ALPHA
from harness.comparison.sequential import Standing, most_seeds, of_reference, stand
from harness.comparison.speed import Timing, speed_comparison_table, speed_exit_code, time_revisions
from harness.comparison.verdicts import Comparison, compare, exit_code, least_seeds, tally
from harness.data.registry import documented_samples
from harness.files.git import uncommitted
from harness.files.writing import moved_aside, write_text
from harness.memory.record import sizes_within_budget
from harness.records.environment import device_name
from harness.records.profiles import get_profile
from harness.records.record import Record
from harness.records.report_folder import COMMENT, COMPARISON
from harness.reporting.console import new_table
from harness.reporting.pages import write_table
from harness.reporting.screen import showing
from harness.training.device import resolve_device
from harness.training.flops import step_operations
from harness.training.synthetic_step import check_batch_size
from reference import get, load_module

BITS, _SPEED = "bits", "speed"
_PAIRED_SEEDS = 8  # where bits say nothing: the same seeds on both sides tell of five metrics from eight on
_COLOURS = {"kept": "green", SAME_BITS: "green", "better": "green", "worse": "red"}


def compare_records(options: CompareOptions, console: Console) -> int:
    """Compare two sets of records, print the table, and return the exit code.

    Raises:
        ValueError: a side that holds no records.
    """
    base, candidate = read_record_set(options.base), read_record_set(options.candidate)
    return _say(compare(base, candidate, options.rule), options, console, "table")


def compare_revisions(options: RevisionOptions, console: Console) -> int:
    """Train, or time, two git revisions, compare them, print the table, and return the exit code.

    Raises:
        ValueError: something that is no revision, or whose suites don't run.
    """
    for name in (options.base, options.candidate):
        try:
            commit_of(name)
        except ValueError as error:
            if is_record_set(name):
                why = f"{name} is a path and no git revision: `gan-harness compare` compares records"
                raise ValueError(why) from error
            raise
    if options.speed:
        return _compare_speed(options, console)
    if options.points is not None:
        where = baseline_folder(options.points)
        if not where.exists():  # said before anything is computed
            raise ValueError(f"--points {options.points}: there is neither such a folder nor the baseline {where}")
    if not options.dirty and (left_out := uncommitted()):
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        said = f"what isn't committed plays no part, --dirty takes it: {escape(left_out[0])}{more}"
        console.print(said, soft_wrap=True)
    with trees_of(options.base, options.candidate, dirty=options.dirty) as trees:
        older = without_first_steps(trees)
        if older and options.first_steps:
            console.print(f"bits aren't compared: the harness of the {older[0]} is too old for it")
        if options.points is not None and (older or not options.first_steps):
            return _judge_by_points(trees, chosen(options.references), options, console, ())
        if older or not options.first_steps:
            what = Measurement(
                options.seeds or _PAIRED_SEEDS, options.first_seed, (options.references,), options.for_suites
            )
            with showing():
                base, candidate = measure_revisions(trees, what, options.out)
            return _say(compare(base, candidate, options.rule), options, console, "records and table")
        bits = _compare_bits(trees, options, console)
        codes = [bits_exit_code(bits)]
        if left := [found.reference for found in bits if found.is_open]:
            judge = _judge_in_turn if options.points is None else _judge_by_points
            codes.append(judge(trees, left, options, console, bits))
        else:
            _write_comment(options, [], bits)
    return 1 if 1 in codes else max(codes)


def _compare_bits(trees: Mapping[str, Path], options: RevisionOptions, console: Console) -> list[RevisionBits]:
    """Compare, show and write what both sides compute in their first steps."""
    asked = FirstSteps(
        options.references,
        options.modules,
        options.first_seed,
        options.first_steps,
        options.device,
        options.root,
        str(options.runs.resolve()) if options.runs else None,
    )
    with showing():
        found = compare_bits(*compute_on_both(trees, asked))
    table = pd.DataFrame([asdict(comparison) for comparison in found])[["reference", "reason", "verdict"]]
    _print(table, [(comparison.verdict,) for comparison in found], console)
    same = sum(comparison.verdict == SAME_BITS for comparison in found)
    what = f"{options.first_steps} steps from the start and from each checkpoint of --runs, samples, and their figures"
    heading = (
        f"# {options.candidate} against {options.base}, bit for bit\n\n"
        f"{same} of {len(found)} compute the same with seed {options.first_seed}: {what}. What begins later can't show."
    )
    _write_table(options.out, BITS, table, heading, console)
    return found


def _judge_in_turn(
    trees: Mapping[str, Path],
    references: Sequence[str],
    options: RevisionOptions,
    console: Console,
    bits: Sequence[RevisionBits],
) -> int:
    """Train what has other bits, seed after seed, until it is decided or can't be."""
    most = options.seeds or most_seeds(len(references), options.alpha)
    own = replace(options.rule, alpha=options.alpha / len(references))
    standings: dict[str, Standing] = {}
    better: dict[str, set[str]] = {name: set() for name in references}

    def left(base: list[Record], candidate: list[Record]) -> list[str]:
        for name in [name for name in references if name not in standings or standings[name].goes_on]:
            one, other = (of_reference(side, name, references) for side in (base, candidate))
            standings[name] = stand(name, one, other, most, own, better[name])
            better[name] |= {
                c.series for c in standings[name].comparisons if c.test is not None and c.verdict == "better"
            }
        return [name for name in references if standings[name].goes_on]

    with showing():
        what = Measurement(most, options.first_seed, references, options.for_suites, OTHER_SEEDS)
        measure_revisions(trees, what, options.out, left)
    for name, standing in standings.items():
        seeds = max((len(c.base) for c in standing.comparisons), default=0)
        console.print(f"{escape(name)}: {seeds} of at most {most} seeds a side: {standing.why}", soft_wrap=True)
    comparisons = [c for standing in standings.values() for c in standing.comparisons]
    return _say(comparisons, options, console, "records and table", bits)


def _judge_by_points(
    trees: Mapping[str, Path],
    references: Sequence[str],
    options: RevisionOptions,
    console: Console,
    bits: Sequence[RevisionBits],
) -> int:
    """Train the candidate alone, with seeds of its own, and hold it against what the base has come to before."""
    assert options.points is not None
    where = baseline_folder(options.points)
    records = read_record_set(where)
    base = {name: of_reference(records, name, references) for name in references}
    if lacking := [name for name, own in base.items() if not points_of(own, options.rule)]:
        raise ValueError(f"{where} has no trainings of {', '.join(lacking)}: leave out --points, or add some")
    kept = [record for own in base.values() for record in own]
    points = points_of(kept, options.rule)
    fewest = min(len(point.values) for point in points)
    metrics = len({(point.reference, point.series) for point in points})
    seeds = options.seeds or seeds_to_judge(fewest, metrics, options.alpha)
    first = max(options.first_seed, 1 + max(seed for point in points for seed in point.values))
    console.print(
        f"{escape(str(where))} has {fewest} seeds or more of each: {seeds} of the candidate, from {first} on",
        soft_wrap=True,
    )
    with showing():
        what = Measurement(seeds, first, references, options.for_suites)
        _, candidate = measure_revisions({"candidate": trees["candidate"]}, what, options.out)
    return _say(compare(kept, candidate, options.rule), options, console, "records and table", bits)


def _say(
    comparisons: Sequence[Comparison],
    options: CompareOptions | RevisionOptions,
    console: Console,
    written: str,
    bits: Sequence[RevisionBits] = (),
) -> int:
    """Show and write what was found; the exit code."""
    show(comparisons, console, options.alpha)
    heading = f"# {options.candidate} against {options.base}\n\n{tally(comparisons)}"
    _write_table(options.out, COMPARISON, comparison_table(comparisons), heading, console)
    _write_comment(options, comparisons, bits)
    console.print(f"{written}: {escape(str(options.out))}")
    return exit_code(comparisons)


def _write_comment(
    options: CompareOptions | RevisionOptions, comparisons: Sequence[Comparison], bits: Sequence[RevisionBits]
) -> None:
    """The same for a pull request, beside the table."""
    path = options.out / COMMENT
    moved_aside(path)
    write_text(path, comparison_comment(f"{options.candidate} against {options.base}", comparisons, bits))


def _write_table(out: Path, name: str, table: pd.DataFrame, heading: str, console: Console) -> None:
    """Write a table; what an earlier comparison wrote there is kept."""
    for kept in filter(None, (moved_aside(out / f"{name}.{kind}") for kind in ("csv", "md"))):
        console.print(f"an earlier table is kept: {escape(str(kept))}", soft_wrap=True)
    write_table(out, name, table, heading)


def _compare_speed(asked: RevisionOptions, console: Console) -> int:
    """Time two revisions' steps in turn."""
    for module in asked.modules:
        load_module(module)
    rule, device = asked.rule, resolve_device(asked.device)
    what = Timing(
        {spec: _batch_to_time(asked, spec, device) for spec in chosen(asked.references)},
        asked.rounds,
        str(device),
        asked.modules,
        rule.margin,
        rule.alpha,
    )
    with showing():
        found = time_revisions(asked.base, asked.candidate, what)
    table = speed_comparison_table(found)
    _print(table, [(pace.verdict, pace.memory_verdict) for pace in found], console)
    heading = f"# {asked.candidate} against {asked.base}: time and memory of a step, on {device_name(device)}"
    _write_table(asked.out, _SPEED, table, heading, console)
    console.print(f"table: {escape(str(asked.out / f'{_SPEED}.md'))}")
    return speed_exit_code(found)


def _batch_to_time(asked: RevisionOptions, spec: str, device: torch.device) -> int:
    """What was asked for; else the document's, on a CPU as much of it as the profile affords."""
    card = get(spec).card
    if asked.batch_size is not None:
        check_batch_size(asked.batch_size, card, documented_samples(card))
        return asked.batch_size
    if device.type == "cuda":
        return card.batch_size
    return sizes_within_budget([card.batch_size], step_operations(get(spec), 1), get_profile(asked.profile).cell_flops)[
        0
    ]


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


def is_record_set(name: str) -> bool:
    """Whether there is such a file or folder: no revision is meant."""
    return Path(name).exists()
