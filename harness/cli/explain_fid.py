"""`gan-harness explain-fid`: why two FIDs of the same images differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Column

from harness.cli.app import command
from harness.evaluation.explain_options import ExplainOptions
from harness.reporting.console import new_console, new_table
from harness.reporting.screen import showing

if TYPE_CHECKING:
    from harness.evaluation.explain import Explanation


@command("explain-fid")
def explain_fid(options: ExplainOptions) -> None:
    """Why is my FID different? The same images through resizers, JPEG, other n, real images and extractors.

    With --other FID it says which of them alone comes nearest to that figure, and whether it explains it.

    Of two evaluations (folders with records) it says in what their protocols differ.

    Example: [bold]gan-harness explain-fid my_samples/ idl-gan-mnist --other 12.3[/bold]
    """
    from harness.evaluation.explained import is_evaluation

    if is_evaluation(options.images) and is_evaluation(options.against):
        _show_records(options)
    else:
        _show_images(options)


def _show_images(options: ExplainOptions) -> None:
    import pandas as pd

    from harness.evaluation.explained import explain_images
    from harness.reporting.pages import write_table

    with showing():
        found, title = explain_images(options)
    rows = [("as the harness does it", "", found.usual, 0.0)]
    rows += [
        (alternative.what, alternative.how, alternative.fid, alternative.fid - found.usual)
        for alternative in found.alternatives
    ]
    shown = [(what, how, f"{fid:.4g}", f"{change:+.3g}") for what, how, fid, change in rows]
    columns = ("what", "done otherwise", "FID", "difference")
    table = new_table(*columns[:2], *(Column(name, justify="right") for name in columns[2:]))
    for row in shown:
        table.add_row(*map(escape, row))
    console = new_console()
    console.print(escape(title))
    console.print(table)
    said = _said(found, options.other)
    if said:
        console.print(said, soft_wrap=True)
    paths = write_table(options.out, "explained", pd.DataFrame(shown, columns=list(columns)), f"# {title}\n\n{said}")
    print(paths[1])


def _said(found: Explanation, other: float | None) -> str:
    """Which thing alone explains the figure, in a sentence."""
    if other is None:
        return ""
    nearest = found.nearest(other)
    if nearest is None:
        return f"None of these alone brings {found.usual:.4g} nearer to {other:g}."
    one, enough = nearest
    verb = "explains it" if enough else "comes nearest, and doesn't explain it alone"
    return f"{one.what}, {one.how}: {one.fid:.4g} of {other:g}, from {found.usual:.4g}; that {verb}."


def _show_records(options: ExplainOptions) -> None:
    from pathlib import Path

    from harness.evaluation.explained import explain_records

    found, (here, there) = explain_records(Path(options.images), Path(options.against))
    console = new_console()
    console.print(escape(f"FID {here:.5g} in {options.images}, {there:.5g} in {options.against}"))
    if not found:
        console.print("Their protocols say the same: what differs is what was drawn.")
        return
    table = new_table("what differs", "A", "B")
    for difference in found:
        table.add_row(*map(escape, (difference.field, difference.here, difference.there)))
    console.print(table)
