"""Seeds one after the other: after each, whether what has been trained already tells, or can't tell any more.

At some numbers of seeds a side a look is taken, and each look may spend its share of α, so that all together err no
more often than α (Lan and DeMets 1983 for the idea; here shares of an exact test, added up). All metrics of a reference
are judged together by the largest of their standardised differences under the same deals (Westfall and Young 1993):
with as few as four seeds a side the smallest p is 2/70, however many metrics there are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.comparison.permutation import deals_of, smallest_p
from harness.comparison.rule import Rule
from harness.comparison.verdicts import Comparison, NotComparableError, compare
from harness.records.arrays import Floats
from harness.records.metrics import find_metric
from harness.records.record import Record

_FIRST = 4 / 7  # of α, for the first look: at 5 % exactly the one deal of 70 that is as far apart, either way
_HAIR = 1e-12
_FEWEST = 5  # seeds a side


@dataclass(frozen=True)
class Look:
    """A number of seeds a side at which is looked, and the α that may be spent there."""

    seeds: int
    alpha: float


@dataclass(frozen=True)
class Standing:
    """What is known of one reference after some seeds: its comparisons, and whether it goes on. `why` says why not."""

    comparisons: tuple[Comparison, ...]
    goes_on: bool
    why: str = ""


def most_seeds(references: int, alpha: float) -> int:
    """How many seeds a side are enough to look twice at each of so many references."""
    return next(n for n in range(_FEWEST, 100) if len(looks(n, alpha / references)) > 1)


def looks(most: int, alpha: float) -> list[Look]:
    """When to look, up to `most` seeds a side; the shares add up to α. None where so few seeds can tell nothing."""
    able = [n for n in range(2, most + 1) if smallest_p(n, n) <= _FIRST * alpha + _HAIR]
    if not able:
        return [Look(most, alpha)] if smallest_p(most, most) <= alpha else []
    first, *later = able
    rest = (1 - _FIRST) * alpha / len(later) if later else 0.0
    return [Look(first, _FIRST * alpha if later else alpha), *(Look(n, rest) for n in later)]


def joint_p(base: Floats, candidate: Floats) -> NDArray[np.float64]:
    """(metrics,): how often a deal's largest standardised difference is at least that of each metric.

    Args:
        base, candidate: (seeds, metrics).

    Raises:
        ValueError: a value that isn't finite, or no seeds.
    """
    values = np.concatenate([base, candidate])
    if not len(base) or not len(candidate) or not np.isfinite(values).all():
        raise ValueError("a permutation test needs finite values on either side")
    deals, exact = deals_of(len(base), len(candidate))
    spread = values.std(0)
    centred = (values - values.mean(0)) / np.where(spread > 0, spread, 1.0)
    sums = centred[deals].sum(1)
    apart = np.abs(sums * (1 / len(candidate) + 1 / len(base)))  # the total is 0
    seen = np.abs(centred[len(base) :].sum(0) * (1 / len(candidate) + 1 / len(base)))
    count = (apart.max(1)[:, None] >= seen - _HAIR).sum(0) + (not exact)
    return np.asarray(count / (len(deals) + (not exact)), np.float64)


def stand(
    reference: str,
    base: Sequence[Record],
    candidate: Sequence[Record],
    most: int,
    rule: Rule,
    spent: Collection[str],
) -> Standing:
    """What the trainings so far tell of one reference, at a look or between two.

    Args:
        base, candidate: its records.
        most: seeds a side, if all are trained.
        rule: `alpha` is this reference's own share.
        spent: the series that an earlier look has called better: such stands.
    """
    try:
        found = compare(base, candidate, rule)
    except NotComparableError:
        nothing = Comparison(reference, "", (), (), "not comparable", "neither side has a metric that takes part")
        return Standing((nothing,), False, "nothing of it is measured")
    tested = [c for c in found if c.test is not None]
    done = min((min(len(c.base), len(c.candidate)) for c in found), default=0)
    planned = looks(most, rule.alpha)
    now = next((look for look in planned if look.seeds == done), None)
    judged = _judged_together(tested)
    found = [_judged(c, judged[c.series], now, spent) if c.series in judged else c for c in found]
    settled = [c for c in found if c.verdict != "inconclusive"]
    if any(c.verdict == "worse" for c in found):
        return Standing(tuple(found), False, "something got worse")
    if len(settled) == len(found):
        return Standing(tuple(found), False, "everything is decided")
    able = any(look.seeds <= done for look in planned)
    if done >= most:
        return Standing(tuple(_told(c) if able else c for c in found), False, "all seeds are trained")
    later = [look for look in planned if look.seeds > done]
    if not any(_may_change(c, later, done, most) for c in found if c.verdict == "inconclusive"):
        return Standing(tuple(_told(c) if able else c for c in found), False, "more seeds couldn't change it")
    return Standing(tuple(found), True)


def _judged_together(tested: Sequence[Comparison]) -> dict[str, float]:
    """The joint p of each series. One that lacks a seed has deals of its own: then p is corrected for their number."""
    groups: dict[tuple[int, int], list[Comparison]] = {}
    for c in tested:
        groups.setdefault((len(c.base), len(c.candidate)), []).append(c)
    found: dict[str, float] = {}
    for group in groups.values():
        base, candidate = (np.array([getattr(c, side) for c in group], np.float64).T for side in ("base", "candidate"))
        p = np.minimum(1.0, len(groups) * joint_p(base, candidate))
        found |= dict(zip((c.series for c in group), p.tolist(), strict=True))
    return found


def of_reference(records: Sequence[Record], reference: str, references: Sequence[str]) -> list[Record]:
    """Those of a reference, or of its small form that a profile trains; not those of another that was asked for."""

    def fits(name: str, record: Record) -> bool:
        return record.reference == name or record.reference.startswith(f"{name}{',' if '@' in name else '@'}")

    longer = [name for name in references if len(name) > len(reference)]
    return [r for r in records if fits(reference, r) and not any(fits(name, r) for name in longer)]


def _judged(found: Comparison, p: float, now: Look | None, spent: Collection[str]) -> Comparison:
    """A comparison by this look's share, and by what an earlier one has found."""
    assert found.test is not None
    if found.verdict == "kept":
        return replace(found, corrected_p=p)
    sure = found.series in spent or (now is not None and p <= now.alpha + _HAIR)
    if not sure:
        return replace(found, verdict="inconclusive", corrected_p=p)
    worse = (found.test.effect > 0) == (find_metric(found.series.partition(" [")[0]).better == "lower")
    return replace(found, verdict="worse" if worse else "better", corrected_p=p, reason="")


def _may_change(found: Comparison, later: Sequence[Look], done: int, most: int) -> bool:
    """Whether a later look could still call this worse, better or kept.

    Whatever comes, deals that leave the new seeds where they are and are as far apart as this one stay as far apart:
    their number bounds p from below. Whether it could be kept is judged by how an interval shrinks.
    """
    if found.test is None:
        return False
    as_far = max(1, round(found.test.p / 2 * math.comb(2 * done, done)))
    if any(2 * as_far / math.comb(2 * look.seeds, look.seeds) <= look.alpha + _HAIR for look in later):
        return True
    half = (found.test.high - found.test.low) / 2 * math.sqrt(done / most)
    return found.margin is not None and half <= found.margin


def _told(found: Comparison) -> Comparison:
    """One that stays open, with the smallest change that so many seeds would have noticed."""
    if found.verdict != "inconclusive" or found.test is None:
        return found
    least = smallest_noticed(found.base, found.candidate)
    mean = abs(float(np.mean(found.base)))
    share = f", {100 * least / mean:.0f} % of the base" if mean else ""
    return replace(found, reason=f"a change of {least:.3g}{share} would have been noticed")


def smallest_noticed(base: Sequence[float], candidate: Sequence[float]) -> float:
    """The shift after which values that vary as these do would lie apart altogether, which any look notices."""
    own = np.concatenate([np.asarray(side, np.float64) - np.mean(side) for side in (base, candidate)])
    return float(own.max() - own.min())
