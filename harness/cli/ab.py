"""`gan-harness ab`: did a change make it worse? Of two git revisions, each trained or timed here."""

from __future__ import annotations

import sys

from harness.cli.app import command
from harness.comparison.options import RevisionOptions
from harness.reporting.console import new_console


@command("ab")
def ab(options: RevisionOptions) -> None:
    """Compare two git revisions: first their bits, in the time of some steps; what differs is trained and judged.

    References whose states, samples and figures are the same are kept. The others are trained seed by seed in turn, by
    the suites of quality and modes. In any repository, with --reference-module.

    Exit code 0: nothing got worse; 1: something did; 10: inconclusive, or not comparable, or measured otherwise.

    Example: [bold]gan-harness ab main HEAD --reference-module my_gan --references 'my-*'[/bold]
    """
    from harness.comparison.compare import compare_revisions

    sys.exit(compare_revisions(options, new_console()))
