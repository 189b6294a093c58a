"""The records of one run: each written at once into a report folder, with the machine beside them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from harness.data.dataset import Dataset
from harness.files.writing import held, write_text
from harness.records.environment import environment, fingerprint
from harness.records.metrics import DATA, Better, Metric
from harness.records.record import Record, Status, append_record, is_headline
from harness.records.report_folder import ENVIRONMENT, RECORDS, Asked, foreign_files, set_aside, write_session
from harness.reporting.tables import TABLE_NAMES


class Recorder:
    """What several suites, or one command, write of what they measure.

    Args:
        asked: what is to be measured, and of which code.
        goes_on: with the report that is there; its records come again, by `adopt`.
        joins: a run whose report another process writes: this one writes nothing there.

    Nobody else writes into the folder until `close`, or the process's end.

    Raises:
        ValueError: the folder holds anything but a report, can't be written, or another process writes into it.
        OSError: it can't be made.
    """

    def __init__(
        self,
        report: Path,
        profile: str,
        device: torch.device,
        asked: Asked,
        *,
        goes_on: bool = False,
        joins: bool = False,
    ) -> None:
        self.report = report
        self.profile = profile
        self.environment = environment(device)
        self.records: list[Record] = []
        self.place = 0  # of the check that records, among all: the file is in their order in the end
        self._places: list[int] = []
        self._fingerprint = fingerprint(self.environment)
        self._device = str(self.environment["device"])
        self._asked = asked
        self._started = joins
        self._goes_on = goes_on
        self.writes = not joins  # False in another process of the same run: the one that tells of all writes
        strange = foreign_files(report, TABLE_NAMES)
        if strange:
            raise ValueError(
                f"the report folder {report} holds {strange[0]!r}, which no report has: nothing is deleted"
            )
        self._held = contextlib.ExitStack()
        self.kept: Path | None = None
        if joins:
            return
        self._held.enter_context(held(report))
        report.mkdir(parents=True, exist_ok=True)
        if not os.access(report, os.W_OK):
            raise ValueError(f"the report folder {report} can't be written")

    def finish(self, outcomes: Mapping[str, int], *, complete: bool) -> None:
        """Write how many checks ended how; `complete` says that all of them have ended."""
        now = datetime.now(UTC).isoformat(timespec="seconds") if complete else ""
        self._asked = replace(self._asked, outcomes=dict(outcomes), finished=now)
        if self._started:
            self._sort()
            write_session(self.report, self._asked)

    def know(self, facts: Mapping[str, Any]) -> None:
        """Write what another process of this run says of its machine beside this one's."""
        path, name = self.folder(ENVIRONMENT), fingerprint(dict(facts))
        known = json.loads(path.read_text(encoding="utf-8"))
        if name not in known:
            write_text(path, json.dumps(known | {name: facts}, indent=1) + "\n")

    def adopt(self, record: Record) -> None:
        """Write one that another process has made."""
        self.records.append(record)
        self._places.append(self.place)
        if self.writes:
            append_record(self.folder(RECORDS), record)

    def _sort(self) -> None:
        """Bring the records into the order of the checks, whoever was first to end."""
        if self._places != sorted(self._places):
            order = sorted(range(len(self.records)), key=self._places.__getitem__)
            self.records = [self.records[index] for index in order]
            self._places.sort()
            write_text(self.report / RECORDS, "".join(f"{record.to_line()}\n" for record in self.records))

    def close(self) -> None:
        """Let others write into the report folder."""
        self._held.close()

    def folder(self, *parts: str) -> Path:
        """A path in the report folder; before the first one an earlier run's report is put aside: see `kept`."""
        if not self._started:
            facts = {self._fingerprint: self.environment}
            if self._goes_on:
                facts = json.loads((self.report / ENVIRONMENT).read_text(encoding="utf-8")) | facts
                write_text(self.report / RECORDS, "")
            else:
                self.kept = set_aside(self.report)
            write_text(self.report / ENVIRONMENT, json.dumps(facts, indent=1) + "\n")
            write_session(self.report, self._asked)
            self._started = True
        return self.report.joinpath(*parts)

    def record(
        self,
        suite: str,
        spec: str,
        metric: Metric,
        value: float | None,
        *,
        data: Dataset | str = "",
        status: Status = "measured",
        protocol: Mapping[str, str] | None = None,
        computed: Mapping[str, str] | None = None,
        judged: bool = True,
        **more: Any,
    ) -> None:
        """Write one record, at once.

        `data` is what it was measured on, or says so in words; `computed` how the device computed, where that touches
        the value, and joins the protocol. `judged` False: no direction is better, as of a calibration, and no gate
        tests it.
        """
        given: dict[str, Any] = {"data": data}
        mark = {}
        if not isinstance(data, str):
            given = {"data": data.title, "real_data": data.real and data.complete}
            mark = {DATA: data.fingerprint}
        joined = {**(computed or {}), **(protocol or {}), **mark}
        facts = {"protocol": joined, "headline": judged and value is not None and is_headline(metric, joined)}
        self._append(
            suite,
            spec,
            metric.name,
            value,
            metric.unit,
            metric.better if judged else "none",
            status,
            **(facts | given | more),
        )

    def note(self, suite: str, spec: str, check: str, status: Status, reason: str, seed: int | None) -> None:
        """Write that a check, which may record several metrics, was skipped or failed."""
        self._append(suite, spec, check, None, "", "none", status, data="", reason=reason, seed=seed)

    def _append(
        self,
        suite: str,
        reference: str,
        metric: str,
        value: float | None,
        unit: str,
        better: Better,
        status: Status,
        **more: Any,
    ) -> None:
        where: dict[str, Any] = {"device": self._device, "environment": self._fingerprint}
        entry = Record(suite, reference, metric, value, unit, better, status, self.profile, **(where | more))
        self.adopt(entry)
