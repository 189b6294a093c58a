"""What has been measured before, on any machine: each report speaks for itself, and none is averaged with another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.records.metrics import DISK_SPEED_UP
from harness.records.record import Record, read_records
from harness.records.report_folder import RECORDS, SESSION, read_session
from harness.reporting.scorecard import ClaimResult, ClaimVerdict, decide_claim
from harness.reporting.table import Cards
from reference import Claim

MEASURED = Path("reports/measured")
EvidenceVerdict = Literal[ClaimVerdict, "disputed"]


@dataclass(frozen=True)
class Source:
    """One report: its name below the folder of all, its records, and the commit that was measured, "" if unknown."""

    name: str
    records: tuple[Record, ...]
    revision: str = ""

    def described(self, of: Iterable[Record]) -> str:
        """Where and when these of its records were taken: `NVIDIA H100, 2026-11-25, revision 1a2b3c4`."""
        records = list(of)
        devices = dict.fromkeys(r.device for r in records)
        days = sorted({r.time[:10] for r in records})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        revision = f"revision {self.revision[:7]}" if self.revision else "revision not said"
        return ", ".join([*devices, when, revision])


@dataclass(frozen=True)
class Decision:
    """A claim, what each report says of it, and what they say together.

    Attributes:
        here: what the report in hand says.
        elsewhere: what others say, by source; those that hold no record of it are left out.
        verdict: that of all who decide it; `disputed` where they differ.
    """

    reference: str
    claim: Claim
    here: ClaimResult
    elsewhere: tuple[tuple[Source, ClaimResult], ...]

    @property
    def deciding(self) -> tuple[tuple[str, ClaimResult], ...]:
        """Who decides it, "here" or by the source's name."""
        everyone = (("here", self.here), *((source.name, found) for source, found in self.elsewhere))
        return tuple((name, found) for name, found in everyone if found.verdict != "not measured")

    @property
    def verdict(self) -> EvidenceVerdict:
        verdicts = list(dict.fromkeys(found.verdict for _, found in self.deciding))
        return "not measured" if not verdicts else verdicts[0] if len(verdicts) == 1 else "disputed"

    @property
    def why_not(self) -> str:
        """What doesn't count, and why, report by report."""
        silent = f"no record of {self.claim}"
        others = [
            f"{source.name}: {found.reason}" for source, found in self.elsewhere if found.reason not in ("", silent)
        ]
        known = self.claim.obstacle or self.here.reason
        said = list(dict.fromkeys(filter(None, ["" if known == silent else known, *others])))
        return "; ".join(said) or ("" if self.deciding else silent)

    @property
    def to_decide(self) -> str:
        """The command that would decide it; "" where that has been done, or can't be."""
        claim = self.claim
        if self.deciding or claim.obstacle:
            return ""
        profile = " --profile documented" if claim.epochs or claim.n_at_least or claim.needs_gpu else ""
        data = " --data-root FOLDER" if claim.needs_data else ""
        disks = " --storage hdd=FOLDER --storage ssd=FOLDER" if claim.metric == DISK_SPEED_UP.name else ""
        gpu = " --device cuda" if claim.needs_gpu else ""
        others = f",{claim.versus}" if claim.versus else ""
        return f"gan-harness suites --references {self.reference}{others}{profile}{gpu}{data}{disks}"


def read_evidence(folder: Path = MEASURED, *, without: Path | None = None) -> list[Source]:
    """Every report two levels below `folder`, by name, but for the one in `without`; none where there is no folder.

    Raises:
        ValueError: records, or what a report was asked for, are damaged.
    """
    sources = []
    for path in sorted(folder.glob(f"*/*/{RECORDS}")):
        at = path.parent
        if without is not None and at.resolve() == without.resolve():
            continue
        revision = read_session(at).revision if (at / SESSION).is_file() else ""
        sources.append(Source(str(at.relative_to(folder)), tuple(read_records(path)), revision))
    return sources


def decide(cards: Cards, records: Sequence[Record], evidence: Collection[Source]) -> list[Decision]:
    """Every claim of every card, by the records in hand and by each report of the evidence."""
    return [
        Decision(spec, claim, decide_claim(spec, claim, records), tuple(_elsewhere(spec, claim, evidence)))
        for spec, card in cards
        for claim in card.claims
    ]


def tally_claims(decisions: Sequence[Decision]) -> str:
    """How many claims are decided, and how: `20 of 51 claims are decided: 14 reproduced, 6 not reproduced.`"""
    counted = Counter(decision.verdict for decision in decisions)
    open_ones = counted.pop("not measured", 0)
    order: tuple[EvidenceVerdict, ...] = ("reproduced", "partly", "not reproduced", "disputed")
    said = ", ".join(f"{counted[verdict]} {verdict}" for verdict in order if counted[verdict])
    return f"{len(decisions) - open_ones} of {len(decisions)} claims are decided" + (f": {said}." if said else ".")


def _elsewhere(spec: str, claim: Claim, evidence: Collection[Source]) -> Iterable[tuple[Source, ClaimResult]]:
    for source in evidence:
        found = decide_claim(spec, claim, source.records)
        if found.records or found.reason not in (claim.obstacle, f"no record of {claim}"):
            yield source, found
