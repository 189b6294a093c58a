"""What an evaluation leaves: its values as records, and what it was of, as a report has it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from harness.data import Dataset
from harness.files.git import revision_here
from harness.files.writing import free_name, write_text
from harness.records.environment import environment, fingerprint
from harness.records.metrics import DATA, FID, TRAINING, UNTRAINED, Metric, MetricValue
from harness.records.record import Record, is_headline
from harness.records.report_folder import ENVIRONMENT, RECORDS, Asked, write_session
from reference import specs


def write_evaluation(
    folder: Path,
    values: list[MetricValue],
    facts: dict[str, Any],
    dataset: Dataset,
    device: torch.device,
    computed: Mapping[str, str] | None = None,
    why_no_start: str = "",
    modules: tuple[str, ...] = (),
) -> tuple[Path, Path | None]:
    """The values as records, with the machine beside them; and where records that lay there have gone.

    `why_no_start` says why the networks as they were drawn have no values, where they have none.
    """
    machine = environment(device)
    mark = fingerprint(machine)
    common: dict[str, Any] = {
        "suite": "quality",
        "profile": "evaluate",
        "data": dataset.title,
        "real_data": dataset.real and dataset.complete,
        "device": str(machine["device"]),
        "environment": mark,
    }
    before = {"epochs": 0.0, "batch_size": None}  # what no training has made

    def line(metric: Metric, protocol: dict[str, str], **more: Any) -> str:
        begun = before if protocol.get(TRAINING) == UNTRAINED else {}
        named: dict[str, Any] = {"metric": metric.name, "unit": metric.unit, "better": metric.better}
        return Record(**named, protocol=protocol, **(common | facts | begun | more)).to_line()

    lines = []
    for found in values:
        protocol = {**(computed or {}), **found.protocol, DATA: dataset.fingerprint}
        headline = is_headline(found.metric, protocol)
        lines.append(line(found.metric, protocol, value=found.value, status="measured", headline=headline))
    if why_no_start:
        lines.append(line(FID, {TRAINING: UNTRAINED}, value=None, status="skipped", reason=why_no_start))
    kept = _set_aside(folder / RECORDS)
    machines = {mark: machine}
    with contextlib.suppress(OSError, ValueError):  # none yet, or damaged
        machines = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8")) | machines
    write_text(folder / ENVIRONMENT, json.dumps(machines, indent=1) + "\n")
    write_text(folder / RECORDS, "\n".join(lines) + "\n")
    known = (str(facts["reference"]),) if facts["reference"] in specs() else ()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_session(folder, Asked(known, modules, *revision_here(), finished=now))
    return folder / RECORDS, kept


def _set_aside(records: Path) -> Path | None:
    """Give records that lie there another name: no result replaces another."""
    if not records.exists():
        return None
    return records.rename(free_name(records))
