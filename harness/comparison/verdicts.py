"""Base and candidate records to one verdict per reference and metric: a pure function of records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import stdtrit

from harness.comparison.permutation import Permutation, holm, paired_test, permutation_test, smallest_p
from harness.comparison.points import at_the_candidates_length
from harness.comparison.rule import ALPHA, Rule
from harness.records.environment import CONVOLUTIONS, PRODUCTS
from harness.records.metrics import EXTRACTOR, METRICS, NUMERICS, TRAINING, UNTRAINED, find_metric
from harness.records.record import Record

Verdict = Literal["kept", "better", "worse", "inconclusive", "not comparable"]
OPEN = 10  # the exit code for what nobody can decide; pytest's own codes are 0 to 5
_MAX_SEEDS = 200
SAME = "the same values for the same seeds"
_A_HAIR = 1e-6
# What two values must share beside their protocol. The machine may differ: bits do then, distributions don't.
_SHARED = ("profile", "n", "batch_size", "epochs", "unit", "better")


# What records say nothing of that were made before it was asked; none of them was made on a GPU.
_BEFORE = {f"protocol, {name}": "ieee" for name in (CONVOLUTIONS, PRODUCTS)} | {
    f"protocol, {NUMERICS}": "deterministic"
}


class NotComparableError(ValueError):
    """Two sets of records that no verdict can be given on."""

    exit_code = OPEN


@dataclass(frozen=True)
class Comparison:
    """One reference and series of a metric: the values on either side, what the test says, the verdict and its reason.

    `paired` says that both sides have the same seeds, and the test held each against its own.
    """

    reference: str
    series: str
    base: tuple[float, ...]
    candidate: tuple[float, ...]
    verdict: Verdict
    reason: str
    test: Permutation | None = None
    corrected_p: float | None = None
    margin: float | None = None
    paired: bool = False


def compare(base: Sequence[Record], candidate: Sequence[Record], rule: Rule | None = None) -> list[Comparison]:
    """Hold every reference and metric of `base` against `candidate`.

    *kept*: the values are the same for the same seeds, to the last digit; or the interval of the change lies within the
    margin. Else *worse* or *better*: the corrected p is at most α. Else *inconclusive*, with about how many seeds would
    do; so is a metric that can't tell: at its worst on both sides, or no better than before training. *not comparable*:
    something that decides the value differs, or one side lacks it. A check that fails in the candidate alone is
    *worse*, whatever its other seeds say. Where both sides have the same seeds, the test is paired. Of a base with
    trainings of several lengths those count that are as long as the candidate's.

    Raises:
        NotComparableError: no metric takes part on either side.
        ValueError: the rule names a metric that doesn't exist.
    """
    rule = rule or Rule()
    _check_metrics(rule, (*base, *candidate))
    base = at_the_candidates_length(base, candidate)
    sides = _grouped(base, rule), _grouped(candidate, rule)
    keys = list(dict.fromkeys([*sides[0], *sides[1]]))
    if not keys:
        there = sorted({r.metric for r in (*base, *candidate) if r.status == "measured"})
        raise NotComparableError(
            "there is nothing to compare: neither side has a measured metric that takes part; "
            + (f"measured are: {', '.join(there)}" if there else "nothing was measured")
        )
    settled: dict[tuple[str, str], Comparison] = {}
    tested: dict[tuple[str, str], Permutation] = {}
    same = _unchanged(keys, *sides)
    starts = _at_start(keys, base, candidate, rule)
    for key in keys:
        one, other = (side.get(key, []) for side in sides)
        before = _untested_verdict(key, one, other, base, candidate)
        if before is None and _same(one, other) and (key[0] in same or not _worst(one)):
            before = Comparison(key[0], key[1], _values(one), _values(other), "kept", SAME)
        if before is None:
            mute = _says_nothing(one, other) or starts.get(key, "")
            before = Comparison(*key, _values(one), _values(other), "inconclusive", mute) if mute else None
        if before is not None:
            settled[key] = before
        else:
            # One comparison may hold more than one metric: its interval is that of a single test.
            fitting = paired_test if _paired(one, other) else permutation_test
            tested[key] = fitting(_values(one), _values(other), rule.alpha)
    corrected = dict(zip(tested, holm([test.p for test in tested.values()]), strict=True))
    for key, test in tested.items():
        one, other = (side[key] for side in sides)
        settled[key] = _tested_verdict(key, one, other, test, corrected[key], len(tested), rule)
    return [settled[key] for key in keys]


def _check_metrics(rule: Rule, records: Iterable[Record]) -> None:
    """Refuse a mistyped metric: it would take no part for ever, without a word."""
    known = {name for record in records for name in (record.metric, record.series)}
    for pattern in rule.metrics:
        if pattern not in known and not any(mark in pattern for mark in "*?["):
            find_metric(pattern)


def exit_code(comparisons: Iterable[Comparison]) -> int:
    """1 when anything is worse, else 10 when anything is open, else 0."""
    verdicts = {comparison.verdict for comparison in comparisons}
    return 1 if "worse" in verdicts else OPEN if verdicts & {"inconclusive", "not comparable"} else 0


def tally(comparisons: Sequence[Comparison]) -> str:
    """How often each verdict was given, in one line."""
    counts = {verdict: sum(c.verdict == verdict for c in comparisons) for verdict in get_args(Verdict)}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def least_seeds(metrics: int, alpha: float = ALPHA, *, paired: bool = False) -> int:
    """The fewest seeds per side with which the test can reach α in a comparison of so many metrics; at most 200."""
    enough = (k for k in range(1, _MAX_SEEDS) if smallest_p(k, k, paired=paired) <= alpha / metrics)
    return next(enough, _MAX_SEEDS)


def _unchanged(
    keys: Sequence[tuple[str, str]],
    base: dict[tuple[str, str], list[Record]],
    candidate: dict[tuple[str, str], list[Record]],
) -> set[str]:
    """The references of which all that both sides have is the same for the same seeds, to the last digit.

    One whose values are all the worst that there are isn't among them: many changes would leave that as it is.
    """
    telling: set[str] = set()
    changed: set[str] = set()
    for key in keys:
        one, other = base.get(key, []), candidate.get(key, [])
        if one and other and not _same(one, other):
            changed.add(key[0])
        elif one and other and not _worst(one):
            telling.add(key[0])
    return telling - changed


def _same(one: Sequence[Record], other: Sequence[Record]) -> bool:
    """Whether both sides have the same values for the same seeds."""
    return _paired(one, other) and _values(one) == _values(other)


def _paired(one: Sequence[Record], other: Sequence[Record]) -> bool:
    """Whether both sides have the same seeds, and know them."""
    seeds = [sorted(record.seed for record in side if record.seed is not None) for side in (one, other)]
    return seeds[0] == seeds[1] and len(seeds[0]) == len(one) == len(other) > 0


def _says_nothing(one: Sequence[Record], other: Sequence[Record]) -> str:
    """Why a metric can't tell whether anything has changed; "" when it may."""
    if _worst(one) and _worst(other):
        return f"says nothing: {_values(one)[0]:.4g}, the worst there is, on both sides"
    return ""


def _at_start(
    keys: Iterable[tuple[str, str]], base: Sequence[Record], candidate: Sequence[Record], rule: Rule
) -> dict[tuple[str, str], str]:
    """Why metrics of trainings say nothing that are no better than an untrained generator.

    One that was measured there speaks for itself. The others of its training follow where all of those say nothing,
    whether they take part or not.
    """
    starts: dict[tuple[str, str, str, int | None, str], list[float]] = {}
    for r in (*base, *candidate):
        begun = r.protocol.get(TRAINING) == UNTRAINED and r.status == "measured"
        if begun and r.value is not None and math.isfinite(r.value):
            starts.setdefault((*_looked_at(r), r.protocol.get(EXTRACTOR, "")), []).append(r.value)
    found: dict[tuple[str, str], dict[str, str]] = {}  # by reference and suite: of each metric, why it says nothing
    for (reference, suite, metric, n, extractor), values in starts.items():
        looked = (reference, suite, metric, n)
        one, other = (
            [
                r
                for r in side
                if (_looked_at(r), r.status, r.series) == (looked, "measured", metric)
                and r.protocol.get(EXTRACTOR, "") == extractor
            ]
            for side in (base, candidate)
        )
        if one and other and not _difference(one, other):
            reason = _no_better(one, other, float(np.mean(values)), rule)
            found.setdefault((reference, suite), {})[metric] = reason
    told: dict[tuple[str, str], str] = {}
    for key in keys:
        suites = {r.suite for r in (*base, *candidate) if (r.reference, r.series) == key}
        for reasons in (found[key[0], suite] for suite in suites if (key[0], suite) in found):
            if key[1] in reasons:
                told[key] = f"says nothing: {reasons[key[1]]}; train for longer" if reasons[key[1]] else ""
            elif all(reasons.values()):
                metric, reason = next(iter(reasons.items()))
                told[key] = f"says nothing, as the training hasn't left its start: {metric}, {reason}"
    return told


def _looked_at(r: Record) -> tuple[str, str, str, int | None]:
    return r.reference, r.suite, r.metric, r.n


def _no_better(one: Sequence[Record], other: Sequence[Record], start: float, rule: Rule) -> str:
    """The reason when neither side is better than before training by more than the margin, else "".

    A candidate that has fallen below both the base and the start does say something.
    """
    sign = 1 if one[0].better == "lower" else -1
    before, after = (float(np.mean(_values(side))) for side in (one, other))
    if not (math.isfinite(before) and math.isfinite(after)):
        return ""
    allowed = rule.margin * abs(start)
    if max(sign * (start - before), sign * (start - after)) > allowed:
        return ""
    if sign * (after - start) > allowed and sign * (after - before) > rule.margin * abs(before):
        return ""
    return f"{before:.4g} and {after:.4g} are no better than {start:.4g} before training"


def _worst(records: Sequence[Record]) -> bool:
    """Whether every value is the worst that its metric can have, as far as that is known."""
    known = METRICS.get(records[0].metric) if records else None
    worst = None if known is None else known.worst
    return worst is not None and all(r.value is not None and abs(r.value - worst) < _A_HAIR for r in records)


def _grouped(records: Sequence[Record], rule: Rule) -> dict[tuple[str, str], list[Record]]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if rule.covers(record):
            groups.setdefault((record.reference, record.series), []).append(record)
    return groups


def _untested_verdict(
    key: tuple[str, str], one: Sequence[Record], other: Sequence[Record], base: Sequence[Record], new: Sequence[Record]
) -> Comparison | None:
    """The verdict that needs no test, or None."""
    values = _values(one), _values(other)
    suite = (one or other)[0].suite
    failures = _failures(new, key[0], suite) if not _failures(base, key[0], suite) else []
    if one and failures:
        return Comparison(*key, *values, "worse", f"fails in the candidate: {failures[0]}")
    if not all(map(math.isfinite, values[0])):
        return Comparison(*key, *values, "not comparable", "the base holds a value that isn't finite")
    if one and not all(map(math.isfinite, values[1])):
        return Comparison(*key, *values, "worse", "the candidate holds a value that isn't finite")
    difference = _difference(one, other)
    return Comparison(*key, *values, "not comparable", difference) if difference else None


def _failures(records: Sequence[Record], reference: str, suite: str) -> list[str]:
    """What failed of a reference; a check of a small form fails under the name of the whole."""
    measured = {r.reference for r in records if r.suite == suite and r.status == "measured"}
    names = {reference, reference.partition("@")[0]} - (measured - {reference})
    return [
        (f"seed {r.seed}: " if r.seed is not None else "") + r.reason
        for r in records
        if r.reference in names and (r.suite, r.status) == (suite, "failed")
    ]


def _difference(one: Sequence[Record], other: Sequence[Record]) -> str:
    """The first thing that keeps two groups from being compared, named; empty when there is none."""
    for group, name in ((one, "base"), (other, "candidate")):
        seeds = [record.seed for record in group if record.seed is not None]
        if len(set(seeds)) < len(seeds):
            return f"the {name} holds a seed twice: {next(s for s in seeds if seeds.count(s) > 1)}"
    if not one or not other:
        return f"only in the {'base' if one else 'candidate'}"
    facts = [{str(value): None for value in map(facts_of, group)} for group in (one, other)]
    if facts[0].keys() == facts[1].keys() and len(facts[0]) == 1:
        return ""
    first, second = facts_of(one[0]), facts_of(other[0])
    for group, name in ((one, "the base"), (other, "the candidate")):
        for record in group[1:]:
            differing = _first_difference(facts_of(group[0]), facts_of(record))
            if differing:
                return f"within {name} itself: {differing}"
    return _first_difference(first, second)


def facts_of(record: Record) -> dict[str, str]:
    """What two records must share to be held against each other, by name."""
    protocol = {f"protocol, {name}": value for name, value in record.protocol.items()}
    return {name: str(getattr(record, name)) for name in _SHARED} | _BEFORE | protocol


def _first_difference(first: dict[str, str], second: dict[str, str]) -> str:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            return f"{name}: {first.get(name, 'absent')} against {second.get(name, 'absent')}"
    return ""


def _tested_verdict(
    key: tuple[str, str],
    one: Sequence[Record],
    other: Sequence[Record],
    test: Permutation,
    corrected: float,
    tests: int,
    rule: Rule,
) -> Comparison:
    values = _values(one), _values(other)
    margin = rule.margin * abs(float(np.mean(values[0])))
    verdict: Verdict
    reason = ""
    if -margin <= test.low and test.high <= margin:
        verdict = "kept"
    elif corrected <= rule.alpha:
        verdict = "worse" if (test.effect > 0) == (one[0].better == "lower") else "better"
    else:
        needed = seeds_needed(values[0], values[1], margin, tests, rule.alpha, paired=_paired(one, other))
        verdict = "inconclusive"
        reason = f"needs about {needed} seeds" if needed else f"needs more than {_MAX_SEEDS} seeds"
    return Comparison(*key, *values, verdict, reason, test, corrected, margin, _paired(one, other))


def seeds_needed(
    base: Sequence[float], candidate: Sequence[float], margin: float, tests: int, alpha: float, *, paired: bool = False
) -> int | None:
    """About how many seeds a side would settle the matter if spread and effect stay as seen; None beyond 200.

    From Student's interval, with four chances in five: either the effect is nothing and the interval fits into the
    margin, or the effect is what was seen and the interval, at the corrected level, leaves out 0.
    """
    least = least_seeds(tests, alpha, paired=paired)
    x, y = (np.asarray(group, np.float64) for group in (base, candidate))
    groups = [y - x] if paired else [x, y]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom < 1:
        return least
    spread = math.sqrt(sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom)
    effect = abs(float(y.mean() - x.mean()))
    counts = np.arange(max(least, len(base) + 1), _MAX_SEEDS + 1)
    unit = spread * np.sqrt(len(groups) / counts)
    shares = np.array([1 - alpha / 2, 1 - alpha / tests / 2, 0.9, 0.8])
    inside, outside, both_ends, one_end = np.asarray(stdtrit(len(groups) * (counts - 1), shares[:, None]))
    within = (effect < margin) & ((inside + both_ends) * unit <= margin)
    apart = (outside + one_end) * unit <= effect
    settled = counts[within | apart]
    return int(settled[0]) if len(settled) else None


def _values(records: Sequence[Record]) -> tuple[float, ...]:
    return tuple(r.value for r in sorted(records, key=lambda r: r.seed or 0) if r.value is not None)
