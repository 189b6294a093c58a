"""What a run or a comparison says, as a comment for a pull request: the answer first, then a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.comparison.bits import SAME_BITS, RevisionBits
from harness.comparison.verdicts import Comparison, tally
from harness.records.record import Record
from harness.reporting.table import spread

MOST = 65_536  # characters that GitHub takes
_ORDER = ("worse", "not comparable", "inconclusive", "better", "kept")
_REASON = 200
_HEAD = "| reference | metric | base | head | change | noise | verdict |\n| --- | --- | --- | --- | --- | --- | --- |"


def comparison_comment(
    title: str, comparisons: Sequence[Comparison], bits: Sequence[RevisionBits] = (), said: Sequence[str] = ()
) -> str:
    """What got worse stands first; `said` is what else there is to say of the two sides.

    `noise` is how far the mean may move by chance alone: half of the test's interval, nothing where there are too few
    seeds for one.
    """
    same = [found.reference for found in bits if found.verdict == SAME_BITS]
    others = [f"- `{found.reference}`: {found.verdict}. {found.reason}" for found in bits if found.verdict != SAME_BITS]
    answer = [f"**{tally(comparisons)}**"] if comparisons else []
    answer += [f"**{len(same)} of {len(bits)} compute the same bits**: {', '.join(same)}"] if bits else []
    ordered = sorted(comparisons, key=lambda found: _ORDER.index(found.verdict))
    beside = [part for sentence in said for part in ("", sentence)]
    head = ["", _HEAD] if ordered else []
    return _cut([f"### {title}", "", *answer, *others, *beside, *head], [_row(found) for found in ordered])


def run_comment(title: str, outcomes: Mapping[str, int], records: Sequence[Record], claims: str) -> str:
    """How many checks passed, and every one that failed, with its reason."""
    # What a reader looks for first: what failed.
    ordered = sorted(outcomes, key=lambda outcome: (outcome != "failed", outcome != "passed"))
    counted = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ordered) or "nothing ran"
    failed = [record for record in records if record.status == "failed"]
    rows = [f"| {_cell(r.reference)} | {r.suite}: {r.metric} | {_cell(r.reason)} |" for r in failed]
    head = ["", "| reference | check | why |\n| --- | --- | --- |"] if rows else []
    return _cut([f"### {title}", "", f"**{counted}**", "", claims, *head], rows)


def _row(found: Comparison) -> str:
    test = found.test
    cells = (
        found.reference,
        found.series,
        spread(found.base),
        spread(found.candidate),
        "" if test is None else f"{test.effect:+.3g}",
        f"± {(test.high - test.low) / 2:.3g}" if test is not None and math.isfinite(test.high - test.low) else "",
        f"**{found.verdict}**" if found.verdict == "worse" else found.verdict,
    )
    said = f": {_cell(found.reason)}" if found.reason else ""
    return f"| {' | '.join(map(_cell, cells))}{said} |"


def _cell(text: str) -> str:
    short = " ".join(text.split())
    return (short if len(short) <= _REASON else f"{short[:_REASON]} …").replace("|", "\\|")


def _cut(head: Sequence[str], rows: Sequence[str]) -> str:
    """As many rows as fit; how many are left out is said."""
    text = "\n".join(head)[: MOST - 200] + "\n"
    for done, row in enumerate(rows):
        if len(text) + len(row) > MOST - 200:
            return f"{text}\n{len(rows) - done} more rows stand in the report.\n"
        text += f"{row}\n"
    return text
