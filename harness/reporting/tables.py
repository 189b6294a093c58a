"""Every table of a report, in its order, and the two that look at all records: the scorecard, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.records.record import Record
from harness.reporting.check_tables import CHECK_TABLES
from harness.reporting.evidence import Decision, Source, decide
from harness.reporting.loading_tables import LOADING_TABLES
from harness.reporting.memory_tables import MEMORY_TABLES
from harness.reporting.published import PUBLISHED_TABLES
from harness.reporting.quality_tables import QUALITY_TABLES
from harness.reporting.scorecard import ClaimResult
from harness.reporting.speed_tables import SPEED_TABLES
from harness.reporting.table import Cards, Table, grouped, spread


def scorecard_table(records: Sequence[Record], cards: Cards, evidence: Sequence[Source] = ()) -> pd.DataFrame:
    """Every claim: documented, measured elsewhere, measured here, verdict, and by whom."""
    return scorecard_of(decide(cards, records, evidence))


def scorecard_of(decisions: Sequence[Decision]) -> pd.DataFrame:
    """The same of claims that are decided already."""
    rows = []
    for decision in decisions:
        claim = decision.claim
        over = f" over that of {claim.versus}" if claim.versus else ""
        elsewhere = [
            f"{measured_words(found)}: {source.described(found.records)}"
            for source, found in decision.elsewhere
            if found.verdict != "not measured"
        ]
        rows.append(
            {
                "reference": decision.reference,
                "claim": claim.statement,
                "place": claim.place,
                "documented": claim.documented,
                "counts as reproduced when": f"{claim}{over}: {claim.condition}",
                "measured elsewhere": "; ".join(elsewhere) or "–",
                "measured here": measured_words(decision.here) if decision.here.verdict != "not measured" else "–",
                "verdict": verdict_words(decision),
                "decided by": ", ".join(name for name, _ in decision.deciding) or "–",
                "not counted": decision.why_not,
                "would decide it": decision.to_decide,
            }
        )
    return pd.DataFrame(rows)


def measured_words(found: ClaimResult) -> str:
    """The median and range of its values, on what, after how long."""
    lengths = {r.epochs for r in found.records if r.epochs is not None}
    data = dict.fromkeys(r.data for r in found.records if r.data)
    seeds = f"{len(found.values)} seeds" if len(found.values) > 1 else ""
    trained = f"{', '.join(f'{e:.3g}' for e in sorted(lengths))} epochs" if lengths else ""
    said = ", ".join(filter(None, [*data, trained, seeds]))
    return spread(found.values) + (f" ({said})" if said else "")


def verdict_words(decision: Decision) -> str:
    if decision.verdict == "not measured":
        return decision.verdict
    if decision.verdict == "disputed":
        return "disputed: " + ", ".join(f"{found.verdict} by {name}" for name, found in decision.deciding)
    holding = sum(found.holding for _, found in decision.deciding)
    count = sum(len(found.values) for _, found in decision.deciding)
    return f"{decision.verdict} ({holding} of {count})"


def left_out_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Everything that was skipped, failed, or says nothing, with its reason; what has the same one is one row."""
    left_out = [r for r in records if r.unread or r.status in ("skipped", "failed")]
    groups = grouped(left_out, lambda r: (r.suite, r.reference, "not shown" if r.unread else r.status, r.reason))
    return pd.DataFrame(
        [
            {
                "suite": suite,
                "reference": reference,
                "check": ", ".join(dict.fromkeys(r.metric for r in group)),
                "count": len(group),
                "status": status,
                "reason": reason,
            }
            for (suite, reference, status, reason), group in groups
        ]
    )


SCORECARD = Table(
    "scorecard",
    "Scorecard: what the documents claim and what was measured",
    ("reference", "claim", "place"),
    scorecard_table,
)
_LEFT_OUT = Table("left_out", "Skipped, failed, or not shown", ("suite", "reference", "check"), left_out_table)
TABLES = (
    SCORECARD,
    *CHECK_TABLES[:2],
    *QUALITY_TABLES,
    *PUBLISHED_TABLES,
    *CHECK_TABLES[2:],
    *MEMORY_TABLES,
    *SPEED_TABLES,
    *LOADING_TABLES,
    _LEFT_OUT,
)
TABLE_NAMES = tuple(table.name for table in TABLES)
