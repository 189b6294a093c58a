"""Which commit made it another GAN? Between two revisions, by bits; where several have changed them, by trainings.

Commits that compute the same as the one before them can't have changed anything: only where bits change can a step lie.
Two revisions with the same bits are taken to have nothing but the same between them: what was changed and put back
again isn't looked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.comparison.bits import compare_bits, compute_on_both, without_first_steps
from harness.comparison.change_points import STEP_ALPHA, change_points
from harness.comparison.first_steps import Computed, FirstSteps
from harness.comparison.revisions import Measurement, commit_of, files_of, measure_revisions
from harness.comparison.rule import Rule
from harness.files.git import run_git
from harness.records.record import Record


@dataclass(frozen=True)
class BitChange:
    """A commit whose bits aren't those of the one before it, what it says of itself, and where they differ first."""

    commit: str
    subject: str
    reason: str


@dataclass(frozen=True)
class Level:
    """A series of the trainings on either side of each change, in order, and at which change it steps."""

    series: str
    values: tuple[tuple[float, ...], ...]
    steps: tuple[int, ...]


def commits_between(good: str, bad: str) -> list[str]:
    """The commits from `good` to `bad`, both included, along first parents.

    Raises:
        ValueError: one is no commit, or `bad` doesn't come after `good`.
    """
    first, last = commit_of(good), commit_of(bad)
    said = run_git("rev-list", "--first-parent", "--reverse", f"{first}..{last}").stdout.split()
    if not said or run_git("merge-base", "--is-ancestor", first, last).returncode:
        raise ValueError(f"{bad} doesn't come after {good}: name the good revision first")
    return [first, *said]


def changes(key: Callable[[int], str], low: int, high: int) -> list[int]:
    """The places after `low`, up to `high`, whose key isn't that of the place before; equal ends hold none."""
    if key(low) == key(high):
        return []
    if high == low + 1:
        return [high]
    middle = (low + high) // 2
    return [*changes(key, low, middle), *changes(key, middle, high)]


class BitsOfCommits:
    """What one reference computes in its first steps at each commit, asked once."""

    def __init__(self, commits: Sequence[str], asked: FirstSteps) -> None:
        self.commits, self.asked = commits, asked
        self._known: dict[int, Computed] = {}

    def __len__(self) -> int:
        return len(self._known)

    def computed(self, place: int) -> Computed:
        """At the commit of this place; one whose steps can't be had says why.

        Raises:
            ValueError: the pattern means several references.
        """
        if place not in self._known:
            commit = self.commits[place]
            with files_of(commit) as tree:
                old = bool(without_first_steps({commit: tree}))
                self._known[place] = _none(self.asked, "too old to tell bits") if old else self._compute(commit, tree)
        return self._known[place]

    def _compute(self, commit: str, tree: Path) -> Computed:
        try:
            (found,) = compute_on_both({commit[:7]: tree}, self.asked)
        except ValueError as error:
            return _none(self.asked, str(error))
        if len(found) != 1:
            raise ValueError(f"{self.asked.references} means {len(found)} references at {commit[:7]}: name one")
        return found[0]

    def key(self, place: int) -> str:
        """What tells its bits, samples and figures from those of another."""
        told = asdict(self.computed(place))
        told["failed"] = bool(told["failed"])  # how a failure is worded plays no part
        return json.dumps(told, sort_keys=True)

    def change(self, place: int) -> BitChange:
        """The change at this place."""
        (found,) = compare_bits([self.computed(place - 1)], [self.computed(place)])
        subject = run_git("show", "-s", "--format=%s", self.commits[place]).stdout.strip()
        reason = found.reason if found.verdict == "not comparable" else f"{found.verdict}: {found.reason}"
        return BitChange(self.commits[place], subject, reason)


def levels(commits: Sequence[str], places: Sequence[int], what: Measurement, rule: Rule, out: Path) -> list[Level]:
    """Train before the first change and at each, and say at which of them a series steps.

    Raises:
        ValueError: the suites of a revision end without records.
    """
    trained = []
    for place in (places[0] - 1, *places):
        with files_of(commits[place]) as tree:
            _, records = measure_revisions({"candidate": tree}, what, out / commits[place][:10])
        trained.append([r for r in records if rule.covers(r) and r.value is not None])
    return levels_of(trained, places)


def levels_of(trained: Sequence[Sequence[Record]], places: Sequence[int], alpha: float = STEP_ALPHA) -> list[Level]:
    """The series that all have, and at which of the places they step."""
    names = dict.fromkeys(r.series for r in trained[0])
    found = []
    for name in names:
        values = [tuple(r.value for r in side if r.series == name and r.value is not None) for side in trained]
        if all(values):
            steps = tuple(places[step.place - 1] for step in change_points(values, alpha))
            found.append(Level(name, tuple(values), steps))
    return found


def _none(asked: FirstSteps, why: str) -> Computed:
    return Computed(asked.references, failed=why)
