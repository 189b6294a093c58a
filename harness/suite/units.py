"""What can be done apart: units of checks, from pytest's own collection.

A unit is what shares trainings: all checks of a reference, or of one of its seeds where trainings are long; those of a
mutant's; else those of a file. What times the machine (marked `alone`) needs all of it; what looks at all records
(`closing`) comes last.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.records.record import Status
    from harness.suite.session import Session

# Checks that one process does together, each with its place in the whole run.
Placed = list[tuple[int, pytest.Item]]


@dataclass(frozen=True)
class Unit:
    """Checks that one process does together.

    Attributes:
        key: what tells it from the others, by reference or file.
        items: the checks, each with its place in the whole run.
        alone: whether it times the machine.
    """

    key: str
    items: Placed
    alone: bool

    @property
    def name(self) -> str:
        """Its key, as a reader is shown it."""
        return self.key.removeprefix("subject ")

    def without(self, done: Collection[int]) -> Unit:
        """What is left of it."""
        return Unit(self.key, [(place, item) for place, item in self.items if place not in done], self.alone)


@dataclass(frozen=True)
class Plan:
    """Units that any process may take, then those that need the whole machine, then what closes the run."""

    shared: list[Unit]
    alone: list[Unit]
    closing: Placed


def plan(items: Sequence[pytest.Item], *, by_seed: bool = False) -> Plan:
    """What can be done apart; first what takes longest: units without a reference, those of one check before all.

    `by_seed`: a reference's seeds apart, and apart from what needs no training.
    """
    found: dict[tuple[bool, str], Placed] = {}
    closing: Placed = []
    for place, item in enumerate(items):
        if item.get_closest_marker("closing"):
            closing.append((place, item))
        else:
            alone = item.get_closest_marker("alone") is not None
            found.setdefault((alone, _key(item, by_seed=by_seed)), []).append((place, item))
    units = [Unit(key, placed, alone) for (alone, key), placed in found.items()]
    shared = [unit for unit in units if not unit.alone]
    shared.sort(key=lambda unit: (unit.key.startswith("subject "), len(unit.items) > 1))
    return Plan(shared, [unit for unit in units if unit.alone], closing)


def _key(item: pytest.Item, *, by_seed: bool) -> str:
    given = params_of(item)
    subject = given.get("subject")
    if subject is None:
        return f"{Path(item.path).stem} {given.get('of', '')}".strip()
    seed = f", seed {given['seed']}" if by_seed and given.get("seed") is not None else ""
    return f"subject {subject.spec}{seed}"


def params_of(item: pytest.Item) -> Mapping[str, Any]:
    """What a check runs over: its subject, its seed and so on, by name."""
    found: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return found


def suite_of(item: pytest.Item) -> str:
    """The suite whose file a check lies in."""
    return Path(item.path).stem.removeprefix("test_")


def note(item: pytest.Item, suite: Session, status: Status, reason: str) -> None:
    """Record that a check was skipped or has failed."""
    given = params_of(item)
    subject = given.get("subject")  # none where no reference is to be checked
    spec = "" if subject is None else subject.spec
    suite.note(suite_of(item), spec, getattr(item, "originalname", item.name), status, reason, given.get("seed"))


def run_checks(items: Placed, session: pytest.Session, suite: Session) -> None:
    """Run checks in this process, as pytest's own loop does.

    Raises:
        pytest.Session.Failed, pytest.Session.Interrupted: after --maxfail or so.
        TimeUp: no other check should begin.
    """
    following = [item for _, item in items[1:]]
    for (place, item), after in itertools.zip_longest(items, following):
        suite.place = place
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        stop_if_asked(session)
        suite.deadline.check()


def stop_if_asked(session: pytest.Session) -> None:
    """Raise what pytest's own loop raises after a check, if enough have failed.

    Raises:
        pytest.Session.Failed, pytest.Session.Interrupted: so it is.
    """
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
