"""A report becomes evidence: checked, then filed by machine, once and for all."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness.files.writing import write_folder
from harness.records.record import read_records
from harness.records.report_folder import RECORDS, read_session, report_files, write_session
from harness.reporting.evidence import MEASURED
from harness.reporting.tables import TABLE_NAMES


@dataclass(frozen=True)
class Promoted:
    """Where it lies now, and how many failed checks it holds."""

    folder: Path
    failed: int


def promote_report(report: Path, name: str, into: Path = MEASURED) -> Promoted:
    """File the records, tables and plots of `report` as `into`/MACHINE/NAME; the whole of it or nothing.

    Of the options that it was asked for, those that name a folder of this machine lose its name.

    Args:
        name: MACHINE/NAME, or NAME: then the machine is called as its device calls itself.

    Raises:
        ValueError: a name that is none, or is taken; a report that was interrupted, holds no measured value, is of more
            than one environment, or of code that no commit has.
    """
    records, asked = read_records(report / RECORDS), read_session(report)
    environments = {record.environment for record in records}
    why_not = ""
    if not asked.finished:
        why_not = "it doesn't say that every check has ended: it was interrupted, or is older than version 0.3"
    elif not any(record.status == "measured" for record in records):
        why_not = "it holds no measured value"
    elif len(environments) > 1:
        why_not = f"it is of {len(environments)} environments, and a machine must be named"
    elif not asked.revision:
        why_not = "it wasn't measured in a git repository, so nobody could know what code it is of"
    elif not asked.clean:
        why_not = f"it was measured with changes that no commit has, at {asked.revision[:7]}: commit, and run again"
    if why_not:
        raise ValueError(f"{report} can't be promoted: {why_not}")
    parts = name.split("/")
    if len(parts) > 2 or not all(re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", part) for part in parts):
        raise ValueError(f"--as takes NAME or MACHINE/NAME, of a-z, 0-9, '-', '_' and '.', not {name!r}")
    target = into.joinpath(*([_machine(records[0].device)] if len(parts) == 1 else []), *parts)
    if target.exists():
        raise ValueError(f"{target} is there already, and evidence is never overwritten: give another name")

    def fill(at: Path) -> None:
        for file in report_files(report, TABLE_NAMES):
            (at / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(report / file, at / file)
        write_session(at, replace(asked, options=tuple(map(_without_place, asked.options))))

    write_folder(target, fill)
    return Promoted(target, sum(record.status == "failed" for record in records))


def _without_place(option: str) -> str:
    """An option that names no folder of whoever measured: evidence is for others."""
    return re.sub(r"=[/~].*", "=FOLDER", option)


def _machine(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", device.lower())).strip("-") or "unknown"
