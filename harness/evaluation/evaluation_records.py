"""What an evaluation leaves: its values as records, and what it was of, as a report has it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.data import Dataset
from harness.evaluation.mode_coverage import MODE_COVERAGE, NO_GOOD_SAMPLES
from harness.files.figures import save_picture
from harness.files.git import revision_here
from harness.files.writing import moved_aside, write_text
from harness.records.environment import environment, fingerprint
from harness.records.metrics import DATA, FID, TRAINING, UNTRAINED, Metric, MetricValue, series
from harness.records.record import Record, is_headline, read_records
from harness.records.report_folder import ENVIRONMENT, RECORDS, Asked, read_session, write_session
from harness.training.sample_grids import picture_of
from reference import specs

FIGURES = "figures.csv"
_SHOWN = 64


def earlier_evaluations(folder: Path) -> Asked:
    """What the records in `folder` were asked for, to which more may be added; nothing where none lie there.

    Raises:
        ValueError: they are of a run of the suites, of other code, or damaged.
    """
    revision, clean = revision_here()
    if not (folder / RECORDS).is_file():
        return Asked((), (), revision, clean)
    asked = read_session(folder)
    if asked.options or asked.outcomes:
        raise ValueError(f"{folder} holds a report of the suites: evaluations have a folder of their own")
    if asked.revision != revision:
        was, now = (found[:7] or "no repository" for found in (asked.revision, revision))
        raise ValueError(f"{folder} holds figures of the code at {was}, and this is {now}: give another --out")
    return replace(asked, clean=asked.clean and clean)


def write_evaluation(
    folder: Path,
    values: list[MetricValue],
    facts: dict[str, Any],
    dataset: Dataset,
    device: torch.device,
    computed: Mapping[str, str] | None = None,
    why_no_start: str = "",
    modules: tuple[str, ...] = (),
    *,
    add: bool = False,
) -> tuple[Path, Path | None]:
    """The values as records, with the machine beside them; and where records that lay there have gone.

    `why_no_start` says why the networks as they were drawn have no values, where they have none. With `add` the records
    that lie there stay, and these come after them.

    Raises:
        ValueError: what is there can't be added to, or holds these already.
    """
    machine = environment(device)
    mark = fingerprint(machine)
    about = {"profile": "evaluate", "device": str(machine["device"]), "environment": mark, **facts}
    records = _made(values, about, dataset, computed or {}, why_no_start)
    earlier = earlier_evaluations(folder) if add else Asked((), (), *revision_here())
    there = read_records(folder / RECORDS) if add and (folder / RECORDS).is_file() else []
    _check_new(records, there, folder)
    kept = None if add else moved_aside(folder / RECORDS)
    machines = {mark: machine}
    with contextlib.suppress(OSError, ValueError):  # none yet, or damaged
        machines = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8")) | machines
    write_text(folder / ENVIRONMENT, json.dumps(machines, indent=1) + "\n")
    write_text(folder / RECORDS, "".join(f"{record.to_line()}\n" for record in [*there, *records]))
    known = {str(facts["reference"])} & set(specs())
    named = tuple(sorted(known.union(earlier.specs))), tuple(dict.fromkeys((*earlier.modules, *modules)))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_session(folder, Asked(*named, earlier.revision, earlier.clean, finished=now))
    _write_figures(folder / FIGURES, [*there, *records])
    return folder / RECORDS, kept


def _made(
    values: Sequence[MetricValue],
    about: Mapping[str, Any],
    dataset: Dataset,
    computed: Mapping[str, str],
    why_no_start: str,
) -> list[Record]:
    """The records of `values`; of what isn't a number a skipped one."""
    real_data = dataset.real and dataset.complete

    def record(metric: Metric, protocol: Mapping[str, str], epochs: float | None = None, **more: Any) -> Record:
        begun: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
        if protocol.get(TRAINING) == UNTRAINED:
            begun["batch_size"] = None  # no training has made it
        named: dict[str, Any] = {"metric": metric.name, "unit": metric.unit, "better": metric.better}
        named |= {"suite": "modes" if metric in MODE_COVERAGE else "quality", "protocol": dict(protocol)}
        return Record(**named, data=dataset.title, real_data=real_data, **{**about, **begun, **more})

    made = []
    for found in values:
        protocol = {**computed, **found.protocol, DATA: dataset.fingerprint}
        if math.isnan(found.value):
            why = {"status": "skipped", "reason": NO_GOOD_SAMPLES}
            made.append(record(found.metric, protocol, found.epochs, value=None, **why))
        else:
            headline = is_headline(found.metric, protocol)
            told = {"value": found.value, "status": "measured", "headline": headline}
            made.append(record(found.metric, protocol, found.epochs, **told))
    if why_no_start:
        made.append(record(FID, {TRAINING: UNTRAINED}, 0.0, value=None, status="skipped", reason=why_no_start))
    return made


def write_sheet(folder: Path, name: str, images: Tensor | None) -> None:
    """A picture of what was measured, of the first 64 images (n, C, H, W) uint8; what lay there gets another name.

    Of what isn't images there is none.
    """
    if images is None:
        return
    path = folder / f"samples-{re.sub(r'[^A-Za-z0-9.@=_-]+', '_', name)}.png"
    moved_aside(path)
    save_picture(path, picture_of(images[:_SHOWN].float(), (0.0, 255.0)))


def _write_figures(path: Path, records: Sequence[Record]) -> None:
    """The same values for a spreadsheet, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("reference", "seed", "n", "data", "metric", "value", "unit", "better"))
    for r in records:
        value = "" if r.value is None else repr(r.value)
        writer.writerow((r.reference, r.seed, r.n, r.data, series(r.metric, r.protocol), value, r.unit, r.better))
    write_text(path, text.getvalue())


def _check_new(records: Sequence[Record], there: Sequence[Record], folder: Path) -> None:
    """One training may not count as two.

    Raises:
        ValueError: a record that lies there is of the same samples.
    """

    def of_what(record: Record) -> tuple[Any, ...]:
        return record.reference, record.seed, record.n, record.metric, tuple(sorted(record.protocol.items()))

    known = {of_what(record) for record in there}
    if doubled := next((record for record in records if of_what(record) in known), None):
        raise ValueError(
            f"{folder} has {doubled.metric} of {doubled.reference}, seed {doubled.seed}, already: give another --out, "
            "or another --name if it is of something else"
        )
