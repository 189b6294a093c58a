"""Every table of a report, in its order, and the two that look at all records: the scorecard, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.records.record import Record
from harness.reporting.check_tables import CHECK_TABLES
from harness.reporting.loading_tables import LOADING_TABLES
from harness.reporting.memory_tables import MEMORY_TABLES
from harness.reporting.quality_tables import QUALITY_TABLES
from harness.reporting.scorecard import decide_claims
from harness.reporting.speed_tables import SPEED_TABLES
from harness.reporting.table import Cards, Table, spread


def scorecard_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """Every claim: documented, measured, verdict."""
    rows = []
    for decided in decide_claims(cards, records):
        claim = decided.claim
        lengths = {r.epochs for r in decided.records if r.epochs is not None}
        trained = f" after {', '.join(f'{e:.3g}' for e in sorted(lengths))} epochs" if lengths else ""
        where = "; ".join(dict.fromkeys(", ".join(filter(None, (r.data, r.device))) + trained for r in decided.records))
        count = len(decided.values)
        over = f" over that of {claim.versus}" if claim.versus else ""
        verdict = decided.verdict
        rows.append(
            {
                "reference": decided.reference,
                "claim": claim.statement,
                "place": claim.place,
                "documented": claim.documented,
                "counts as reproduced when": f"{claim}{over}: {claim.condition}",
                "measured": spread(decided.values) or "–",
                "measured on": where or "–",
                "verdict": verdict if verdict == "not measured" else f"{verdict} ({decided.holding} of {count})",
                "why not": decided.reason,
            }
        )
    return pd.DataFrame(rows)


def left_out_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Everything that was skipped or failed, with its reason."""
    return pd.DataFrame(
        [
            {"suite": r.suite, "reference": r.reference, "check": r.metric, "status": r.status, "reason": r.reason}
            for r in records
            if r.status in ("skipped", "failed")
        ]
    )


_SCORECARD = Table(
    "scorecard",
    "Scorecard: what the documents claim and what was measured",
    ("reference", "claim", "place"),
    scorecard_table,
)
_LEFT_OUT = Table("left_out", "Skipped and failed", ("suite", "reference", "check"), left_out_table)
TABLES = (
    _SCORECARD,
    *CHECK_TABLES[:2],
    *QUALITY_TABLES,
    *CHECK_TABLES[2:],
    *MEMORY_TABLES,
    *SPEED_TABLES,
    *LOADING_TABLES,
    _LEFT_OUT,
)
TABLE_NAMES = tuple(table.name for table in TABLES)
