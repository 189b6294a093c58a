"""`gan-harness evaluate`: how good samples are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Column

from harness.cli.app import command
from harness.evaluation.options import EvaluateOptions
from harness.reporting.console import new_console, new_table
from harness.reporting.screen import showing

if TYPE_CHECKING:
    from harness.evaluation.evaluate import Evaluation


@command("evaluate")
def evaluate(options: EvaluateOptions) -> None:
    """Measure sample quality: FID, KID, IS, precision, recall, density, coverage, classes covered, memorisation.

    Of a run also FID and KID before its first step: what is no better says nothing of a change. And all of it of the
    networks that the watchdog kept, where those aren't the final ones.

    Where a card states modes, as on the 3×3 grid: which of them its points hit, and how evenly.

    A callable gets (n, seed) and returns n images: uint8, or floats in the range declared.

    Several of them in one report: the same --out for each, with --add; so claims that compare two GANs are decided.

    Example: [bold]gan-harness evaluate my_package.my_gan:generate --against idl-gan-mnist -n 1000[/bold]
    """
    from harness.evaluation.evaluate import evaluate as measure

    with showing():
        answer = measure(options)
    _show(answer, new_console())
    print(answer.records)


def _show(answer: Evaluation, console: Console) -> None:
    from harness.records.metrics import CLASS_SHARE, MODE_SHARE, MODE_SPREAD, series

    table = new_table("metric", Column("value", justify="right"), "unit", "better")
    for found in answer.values:
        if found.metric not in (CLASS_SHARE, MODE_SHARE, MODE_SPREAD):
            named = series(found.metric.name, found.protocol)
            table.add_row(escape(named), f"{found.value:.5g}", found.metric.unit, found.metric.better)
    some = answer.n < answer.given
    what = "points" if any(found.metric is MODE_SHARE for found in answer.values) else "images"
    compared = f"{answer.n} of {answer.given} {what}, evenly spread" if some else f"{answer.n} {what}"
    console.print(f"{escape(answer.name)}, {compared}, against {escape(answer.data)}")
    console.print(table)
    if answer.note:
        console.print(escape(answer.note), soft_wrap=True)
    if answer.why_no_start:
        console.print(f"not measured before training: {escape(answer.why_no_start)}", soft_wrap=True)
    if answer.missing is not None:
        console.print(f"missing classes: {'; '.join(answer.missing) or 'none'}")
    if answer.kept is not None:
        console.print(f"the figures that were there before are kept: {escape(str(answer.kept))}", soft_wrap=True)
