"""`gan-harness ab`: did a change make it worse? Of two git revisions, each trained or timed here."""

from __future__ import annotations

import sys

from harness.cli.app import command
from harness.comparison.options import RevisionOptions
from harness.reporting.console import new_console


@command("ab")
def ab(options: RevisionOptions) -> None:
    """Run the suites of two git revisions of a clone of this project, seed by seed in turn, and compare them.

    Exit code 0: nothing got worse; 1: something did; 10: inconclusive, or not comparable.

    Example: [bold]gan-harness ab main HEAD --references idl-gan-grid[/bold]
    """
    from harness.comparison.compare import compare_revisions

    sys.exit(compare_revisions(options, new_console()))
