"""Claims against records: what a document says, what was measured, and whether the one holds for the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from harness.records.metrics import COMPUTED_ON, EXTRACTOR, METRICS
from harness.records.record import Record
from reference import Card, Claim

ClaimVerdict = Literal["reproduced", "partly", "not reproduced", "not measured"]


@dataclass(frozen=True)
class ClaimResult:
    """A claim with the records that speak to it. `values` are all of them, `reason` why they don't decide."""

    reference: str
    claim: Claim
    verdict: ClaimVerdict
    values: tuple[float, ...]
    records: tuple[Record, ...]
    reason: str

    @property
    def holding(self) -> int:
        """How many values satisfy the claim."""
        return sum(self.claim.condition.holds(value) for value in self.values)


def decide_claim(reference: str, claim: Claim, records: Sequence[Record]) -> ClaimResult:
    """Hold `claim` against the records of its reference and metric.

    A claim against another reference is decided by its values over the median of the other's. Only measured values on
    the claim's data and after its training length decide. All of them hold: reproduced; some:
    partly; none: not reproduced. Nothing that decides: not measured, with the reason. A seed that failed, or gave no
    value, keeps a claim from being reproduced.
    """
    named = [r for r in records if r.reference == reference and speaks_of(claim, r)]
    found = [r for r in named if r.status == "measured"]
    deciding = [] if claim.obstacle else [r for r in found if _reason_against(claim, r) == ""]
    if not deciding:
        smaller = {r.reference for r in records if r.reference.startswith(f"{reference}@") and speaks_of(claim, r)}
        failed = [r for r in records if r.reference == reference and r.status == "failed" and r not in named]
        shown = tuple(r.value for r in found if r.value is not None)
        return ClaimResult(
            reference, claim, "not measured", shown, tuple(found), _why_not(claim, named, found, failed, smaller)
        )
    unit, lacking = _baseline_median(claim, records, deciding)
    if lacking:
        return ClaimResult(reference, claim, "not measured", (), tuple(deciding), lacking)
    values = tuple(r.value / unit for r in deciding if r.value is not None)
    holding = sum(claim.condition.holds(value) for value in values)
    lost = _failed_seeds(records, deciding)
    whole = holding == len(values) and not lost
    verdict: ClaimVerdict = "reproduced" if whole else "partly" if holding else "not reproduced"
    return ClaimResult(reference, claim, verdict, values, tuple(deciding), "; ".join(lost))


def speaks_of(claim: Claim, record: Record) -> bool:
    """Whether a record is of what the claim names; one that says why there is no value speaks for the whole metric."""
    if not claim.metric or record.metric != claim.metric:
        return False
    if record.status in ("skipped", "failed"):
        return True
    metric = METRICS.get(record.metric)
    same = all(record.protocol.get(key) == claim.where.get(key) for key in metric.by) if metric else True
    return same and claim.batch_size in (None, record.batch_size)


def decide_claims(cards: Iterable[tuple[str, Card]], records: Sequence[Record]) -> list[ClaimResult]:
    """Every claim of every (spec, card), in order."""
    return [decide_claim(spec, claim, records) for spec, card in cards for claim in card.claims]


def claims_line(cards: Iterable[tuple[str, Card]], records: Sequence[Record]) -> str:
    """How often each verdict is given by these records alone: `1 reproduced, 0 partly, …`."""
    counted = Counter(judged.verdict for judged in decide_claims(cards, records))
    return ", ".join(f"{counted[verdict]} {verdict}" for verdict in get_args(ClaimVerdict))


def silent_claims(cards: Iterable[tuple[str, Card]], records: Sequence[Record]) -> list[str]:
    """The claims that no record speaks of, neither a value nor a reason."""
    return [
        f"{decided.reference}, {decided.claim.identifier}: {decided.reason}"
        for decided in decide_claims(cards, records)
        if decided.reason == f"no record of {decided.claim}"
    ]


def _reason_against(claim: Claim, record: Record) -> str:
    """Why this record doesn't decide this claim; empty when it does."""
    if claim.needs_data and not record.real_data:
        return f"the claim is about all of the real data, measured was {record.data}"
    if claim.needs_gpu and record.protocol.get(COMPUTED_ON) != "cuda":
        return f"the claim is about a GPU, measured was on {record.device}"
    for key, wanted in claim.where.items():
        if record.protocol.get(key) != wanted:
            return f"{key}: {record.protocol.get(key, 'not said')}, the claim is about {wanted}"
    looked = record.protocol.get(EXTRACTOR, "")
    if claim.extractor and looked.partition(" ")[0] != claim.extractor:
        return f"looked at by {looked or 'nothing known'}, the claim is about {claim.extractor}"
    if claim.n_at_least is not None and (record.n or 0) < claim.n_at_least:
        return f"of {record.n or 0} samples, the claim takes {claim.n_at_least}"
    if claim.epochs is not None and (record.epochs or 0) < claim.epochs:
        return f"trained for {record.epochs or 0:.3g} epochs, the claim takes {claim.epochs:g}"
    return ""


def _baseline_median(claim: Claim, records: Sequence[Record], deciding: Sequence[Record]) -> tuple[float, str]:
    """What the claim's values are divided by: 1, or the median of another reference's; and what it lacks."""
    if not claim.versus:
        return 1.0, ""
    others = [
        r
        for r in records
        if (r.reference, r.status) == (claim.versus, "measured")
        and speaks_of(claim, r)
        and _reason_against(claim, r) == ""
        and r.protocol.get(EXTRACTOR) == deciding[0].protocol.get(EXTRACTOR)
    ]
    values = [r.value for r in others if r.value is not None]
    if not values or median(values) == 0:
        return 1.0, f"nothing to hold it against: no such {claim.metric} of {claim.versus}"
    return float(median(values)), ""


def _failed_seeds(records: Sequence[Record], deciding: Sequence[Record]) -> list[str]:
    """The seeds of the deciding records' suite that gave no value, with the reason."""
    first = deciding[0]
    known = {r.seed for r in deciding}
    return [
        f"seed {r.seed}: {r.reason}"
        for r in records
        if (r.reference, r.suite) == (first.reference, first.suite)
        and (r.status == "failed" or (r.status == "skipped" and r.metric == first.metric))
        and r.seed is not None
        and r.seed not in known
    ]


def _why_not(
    claim: Claim, named: Sequence[Record], found: Sequence[Record], failed: Sequence[Record], smaller: Iterable[str]
) -> str:
    if claim.obstacle:
        return claim.obstacle
    reasons = [_reason_against(claim, r) for r in found]
    reasons += [r.reason for r in named if r.status in ("skipped", "failed")]
    reasons += [
        f"simulated, which decides nothing: {r.value:.3g}, {r.reason}" for r in named if r.status == "simulated"
    ]
    reasons += [f"{r.metric} failed: {r.reason}" for r in failed]
    if not reasons:
        reasons += [f"measured was {form}, which is another system" for form in sorted(smaller)]
    return "; ".join(dict.fromkeys(reasons)) or f"no record of {claim}"
