"""Comparisons as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.comparison.verdicts import Comparison
from harness.reporting.table import spread


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row per reference and series: both sides, the change with its interval, the corrected p, the verdict."""
    return pd.DataFrame([_row(comparison) for comparison in comparisons])


def _row(comparison: Comparison) -> dict[str, str]:
    test = comparison.test
    return {
        "reference": comparison.reference,
        "metric": comparison.series,
        "base": spread(comparison.base),
        "candidate": spread(comparison.candidate),
        "seeds": f"{len(comparison.base)} / {len(comparison.candidate)}" + (", paired" if comparison.paired else ""),
        "change of the mean": "" if test is None else f"{test.effect:+.3g}",
        "interval": "" if test is None else f"{test.low:+.3g} to {test.high:+.3g}",
        "margin": "" if comparison.margin is None else f"± {comparison.margin:.3g}",
        "p, corrected": "" if comparison.corrected_p is None else f"{comparison.corrected_p:.3g}",
        "verdict": comparison.verdict + (f" ({comparison.reason})" if comparison.reason else ""),
    }
