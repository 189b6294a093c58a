"""`gan-harness compare`: did a change make it worse? Of records that are there."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.cli.app import command
from harness.comparison.options import CompareOptions
from harness.reporting.console import new_console


@command("compare")
def compare(options: CompareOptions) -> None:
    """Say whether CANDIDATE kept what BASE had: kept, better, worse, inconclusive or not comparable, per metric.

    Both are records: report folders, baselines, evaluated runs. Git revisions are compared by `ab`.

    Exit code 0: nothing got worse; 1: something did; 10: inconclusive, or not comparable.

    Example: [bold]gan-harness compare reports/baselines/main reports/latest[/bold]
    """
    from harness.comparison.compare import compare_records, is_record_set

    for side in (options.base, options.candidate):
        if not is_record_set(str(side)):
            other = "" if Path(side).exists() else "; if it is a git revision: gan-harness ab BASE CANDIDATE"
            raise ValueError(f"{side} holds no records to compare{other}")
    sys.exit(compare_records(options, new_console()))
