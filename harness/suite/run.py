"""One run of checks, whoever does them: what is to be done, what was told, and what an earlier run has done already."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records.environment import moved_bits
from harness.records.options import ROOT_VARIABLE
from harness.records.report_folder import CHECKS
from harness.suite.child import Command
from harness.suite.costs import operations
from harness.suite.journal import Collected, Journal, Told, read_collected, read_told, write_collected
from harness.suite.session import Session
from harness.suite.shards import dealt
from harness.suite.units import Placed, Unit, note, plan, run_checks, stop_if_asked
from reference import source_digest

_KEPT_VARIABLES = ("OMP_NUM_THREADS", "PYTHONPATH", ROOT_VARIABLE)


def collected(items: Sequence[pytest.Item], arguments: Sequence[str]) -> Collected:
    """What a run consists of, wherever its files lie."""
    names = hashlib.sha256("\n".join(f"{Path(item.path).name} {item.name}" for item in items).encode())
    suites = hashlib.sha256()
    for path in sorted(path for folder in {Path(item.path).parent for item in items} for path in folder.glob("*.py")):
        suites.update(path.name.encode() + path.read_bytes())
    code = {name: source_digest(name) for name in ("harness", "reference")} | {"suites": suites.hexdigest()[:16]}
    closing = sum(item.get_closest_marker("closing") is not None for item in items)
    return Collected(names.hexdigest()[:16], len(items), closing, code, tuple(arguments))


class Run:
    """What is to be done.

    Args:
        session: pytest's, with everything collected.
        suite: the harness's.

    Attributes:
        total: how many checks there are, with those that an earlier run has done.
        shared: units that any process may take, in the order in which they are best begun.
        alone: those that time the machine.

    Raises:
        ValueError: `--resume`, and what is there is the run of other checks or of other code.
    """

    def __init__(self, session: pytest.Session, suite: Session) -> None:
        self.session, self.suite = session, suite
        planned = plan(session.items, by_seed=suite.profile.trains_long)
        mine, closing = [*planned.shared, *planned.alone], planned.closing
        now = replace(collected(session.items, session.config.invocation_params.args), run=uuid.uuid4().hex)
        if (shard := suite.settings.shard) is not None:
            mine = [mine[index] for index in dealt([operations(u.items) for u in mine], shard.count)[shard.number - 1]]
            places = tuple(sorted(place for unit in mine for place, _ in unit.items))
            now, closing = replace(now, shard=str(shard), mine=places), []  # of a part nothing is said as a whole
        self.total = sum(len(unit.items) for unit in mine) + len(closing)
        self.folder = suite.folder(CHECKS)
        self._told: dict[int, Told] = {}
        self._earlier, self.name = self._begun(now)
        left = [unit for whole in mine if (unit := whole.without(self._earlier)).items]
        self.shared, self.alone = ([unit for unit in left if unit.alone is alone] for alone in (False, True))
        if suite.profile.trains_long:
            self.shared.sort(key=lambda unit: -operations(unit.items))
        self._closing = [(place, item) for place, item in closing if place not in self._earlier]
        self.journal = Journal(suite, session.config, self.folder / "0.jsonl")
        self._machine: Mapping[str, Any] | None = None

    def _begun(self, now: Collected) -> tuple[dict[int, Told], str]:
        """What an interrupted run has told that this one goes on with, and the name of it; nothing for a new one."""
        before = read_collected(self.folder) if self.suite.settings.resume else None
        self.folder.mkdir(parents=True, exist_ok=True)
        if before is None:
            write_collected(self.folder, now)
            return {}, now.run
        changed = [name for name, digest in now.code.items() if before.code.get(name) != digest]
        why = ""
        if changed:
            why = f"the code of {', '.join(changed)} has changed since"
        elif before.shard != now.shard:
            why = f"shard {before.shard} lies there" if before.shard else "a whole run lies there"
        elif (before.checks, before.mine) != (now.checks, now.mine):
            why = f"it has {before.count} checks, of `{' '.join(before.arguments)}`; asked was for {now.count} others"
        if why:
            raise ValueError(f"{self.suite.settings.report_dir} can't be gone on with: {why}")
        return read_told(self.folder), before.run

    def begin(self) -> None:
        """Tell again what an earlier run has done; from now on what this process does is written down."""
        for _, told in sorted(self._earlier.items()):
            self.tell(told)
        self.session.config.pluginmanager.register(self.journal, "gan-harness-journal")

    def do(self, items: Placed) -> None:
        """Do checks in this process.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        run_checks(items, self.session, self.suite)

    def do_alone(self) -> None:
        """Do what times the machine, in this process, when nothing else runs any more."""
        for unit in self.alone:
            self.do(unit.items)

    def close(self) -> None:
        """Do what looks at all that was recorded."""
        run_checks(self._closing, self.session, self.suite)

    def tell(self, told: Told) -> None:
        """Tell what another process, or an earlier run, has done; nothing of it is told twice.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: after --maxfail or so.
        """
        if told.place in self._told:
            return
        self._told[told.place] = told
        item = self.session.items[told.place]
        self.journal.tells = False
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for data in told.reports:
            report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
            if isinstance(report.longrepr, list):  # why it was skipped; JSON knows no tuples
                report.longrepr = tuple(report.longrepr)
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        self.journal.tells = True
        self.suite.adopt(told.place, told.records)
        stop_if_asked(self.session)

    def take(self, tolds: Iterable[Told]) -> None:
        """Record what was told while the run came to its end, without a word."""
        for told in tolds:
            if told.place not in self._told:
                self._told[told.place] = told
                self.suite.adopt(told.place, told.records)

    def left_of_lost(self, unit: Unit) -> list[Unit]:
        """Tell what the lost attempts at it had told; returns what is left to do."""
        told = read_told(self.folder)
        for place, _ in unit.items:
            if place in told:
                self.tell(told[place])
        return self.left([unit])

    def drop_logs(self) -> None:
        """Of the processes that joined: nothing went wrong that they could tell of."""
        for log in self.folder.glob("*.txt"):
            log.unlink()

    def fail(self, unit: Unit, why: str) -> None:
        """Its checks have failed, for a reason that no check could give itself."""
        for place, item in unit.items:
            self.suite.place = place
            report = pytest.TestReport(
                item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed", why, when="call"
            )
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            note(item, self.suite, "failed", why)
            item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def check_machine(self, facts: Mapping[str, Any] | None) -> None:
        """All records of a run are of one kind of machine; ends the run where another process has found another."""
        if facts is None:
            return
        self._machine = self._machine or facts
        self.suite.recorder.know(facts)
        differ = [f"{name} {one} and {other}" for name, one, other in moved_bits(self._machine, facts)]
        if differ:
            pytest.exit(f"gan-harness: processes of this run differ: {'; '.join(differ)}; name one kind", returncode=2)

    def left(self, units: Sequence[Unit]) -> list[Unit]:
        """What nobody has told of, or done here."""
        done = {*self._told, *self.journal.places}
        return [unit for whole in units if (unit := whole.without(done)).items]

    def command(self, threads: int | None, kept: Sequence[str]) -> Command:
        """How processes that do this run's checks are started; `kept` are the references with the baseline's bits."""
        return Command(
            tuple(str(argument) for argument in self.session.config.invocation_params.args),
            str(Path.cwd()),
            str(Path(self.suite.settings.report_dir).resolve()),
            self.name,
            {name: os.environ.get(name) for name in _KEPT_VARIABLES},  # Ray sets the first
            threads,
            self.suite.deadline.at,
            tuple(kept),
        )
