"""Record sets as files: where a comparison finds them, and which of them are kept as baselines."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.files.writing import write_folder, write_text
from harness.records.record import Record, read_records
from harness.records.report_folder import ENVIRONMENT, RECORDS

BASELINES = Path("reports/baselines")


def read_record_set(path: Path) -> list[Record]:
    """The records of a report folder, a baseline, an evaluated run, or a file of records.

    A folder without records of its own stands for those that lie in it: one evaluated run for each seed, say.

    Raises:
        ValueError: there is no such thing, it is empty or damaged, or of another version.
    """
    file = path / RECORDS if path.is_dir() else path
    several = sorted(path.glob(f"*/{RECORDS}")) if path.is_dir() and not file.is_file() else []
    if several:
        return [record for part in several for record in read_records(part)]
    if not file.is_file():
        raise ValueError(f"{path} holds no {RECORDS}: name a report folder, a baseline, or a file of records")
    return read_records(file)


def save_baseline(folder: Path, name: str, *, overwrite: bool, into: Path = BASELINES) -> Path:
    """Keep the records of a report as the baseline `name`; the whole of it or nothing.

    Raises:
        ValueError: a name that is no folder's, failed checks among the records, or a baseline that is there already.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise ValueError(f"{name!r} can't be the name of a baseline")
    records = read_record_set(folder)
    failed = [r for r in records if r.status == "failed"]
    if failed:
        raise ValueError(
            f"{folder} holds {len(failed)} failed checks, the first {failed[0].metric} of "
            f"{failed[0].reference}: that is no baseline"
        )
    if not any(r.status == "measured" for r in records):
        raise ValueError(f"{folder} holds no measured value: that is no baseline")
    target = into / name
    if target.exists() and not overwrite:
        raise ValueError(f"the baseline {target} is there already; --overwrite replaces it")
    source = folder if folder.is_dir() else folder.parent
    if target.resolve() == source.resolve():
        raise ValueError(f"{folder} is the baseline {name} already")
    machines = source / ENVIRONMENT

    def fill(at: Path) -> None:
        write_text(at / RECORDS, "".join(record.to_line() + "\n" for record in records))
        if machines.is_file():
            shutil.copyfile(machines, at / ENVIRONMENT)

    if not target.exists():
        write_folder(target, fill)
        return target
    aside = target.with_name(f".{name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    target.rename(aside)
    try:
        write_folder(target, fill)
    except BaseException:
        aside.rename(target)
        raise
    shutil.rmtree(aside)
    return target
