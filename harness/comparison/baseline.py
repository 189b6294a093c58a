"""Record sets as files: where a comparison finds them, and which of them are kept as baselines."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.comparison.points import merged
from harness.files.writing import replace_folder, write_text
from harness.records.metrics import SAME_BITS, STATE
from harness.records.record import Record, read_records
from harness.records.report_folder import ENVIRONMENT, RECORDS, SESSION, Asked, read_session

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


def baseline_folder(name: Path) -> Path:
    """The folder or file of this name if there is one, else that of the baseline."""
    return name if name.exists() else BASELINES / name


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

    def fill(at: Path) -> None:
        write_text(at / RECORDS, "".join(record.to_line() + "\n" for record in records))
        for beside in (ENVIRONMENT, SESSION):  # of which machine, and of which code
            if (source / beside).is_file():
                shutil.copyfile(source / beside, at / beside)

    replace_folder(target, fill)
    return target


def add_to_baseline(folder: Path, name: str, *, any_revision: bool = False, into: Path = BASELINES) -> tuple[Path, int]:
    """Add the seeds and training lengths of a report to the baseline `name`; returns it, and how many values are new.

    Raises:
        ValueError: there is no such baseline, a failed check, or a report of other code, unless that doesn't matter; or
            a training that is there already with another value.
    """
    target = into / name
    kept, more = read_record_set(target), read_record_set(folder)
    if failed := [r for r in more if r.status == "failed"]:
        raise ValueError(
            f"{folder} holds {len(failed)} failed checks, the first {failed[0].metric} of {failed[0].reference}"
        )
    source = folder if folder.is_dir() else folder.parent
    then, now = (read_session(at) if (at / SESSION).is_file() else None for at in (target, source))
    if then and now and (then.revision, then.clean) != (now.revision, now.clean) and not any_revision:
        raise ValueError(
            f"the baseline {name} is of the code at {_revision(then)}, {folder} of {_revision(now)}: bits that are the "
            "same (`gan-harness ab`) tell that this doesn't matter; --any-revision takes it then"
        )
    records = merged(kept, more)
    write_text(target / RECORDS, "".join(record.to_line() + "\n" for record in records))
    return target, len(records) - len(kept)


def code_and_bits(baseline: Path, base: Sequence[Record], here: Asked, candidate: Sequence[Record]) -> list[str]:
    """Whether a run is of the baseline's code, and has the bits that it had after the first steps: a sentence each."""
    folder = baseline if baseline.is_dir() else baseline.parent
    code = _same_code(read_session(folder), here) if (folder / SESSION).is_file() else ""
    return [code or "Code: the baseline doesn't say of which it is.", _same_state(base, candidate)]


def _same_code(base: Asked, here: Asked) -> str:
    said = [f"this repository at {_revision(base)} then, at {_revision(here)} now"]
    for module in here.code:
        then, now = base.code.get(module), here.code[module]
        changed = f"has changed: {then} then, {now} now" if then else f"is {now} now, and wasn't there then"
        said.append(f"{module} {f'is the same ({now})' if then == now else changed}")
    return f"Code: {'; '.join(said)}."


def _revision(asked: Asked) -> str:
    if not asked.revision:
        return "no commit"
    return asked.revision[:12] + ("" if asked.clean else " with changes beside it")


def _same_state(base: Sequence[Record], candidate: Sequence[Record]) -> str:
    """The same bits are the same computation, wherever; other bits may be those of another machine or version."""
    then, now = _states(base), _states(candidate)
    shared = [key for key in now if key in then]
    if not shared:
        return "Bits: not compared; that takes the determinism suite on both sides, with the same data and settings."
    other = [key for key in shared if then[key].reason != now[key].reason]
    elsewhere = [key for key in other if then[key].environment != now[key].environment]
    told = {
        "the same after the first steps": [key for key in shared if key not in other],
        "others": [key for key in other if key not in elsewhere],
        "others, but this machine, its versions or its settings aren't the baseline's": elsewhere,
    }
    parts = [f"{what}: {', '.join(sorted({key[0] for key in keys}))}" for what, keys in told.items() if keys]
    return f"Bits: {'; '.join(parts)}."


def _states(records: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """What tells a training's end, by reference and by all that its bits depend on but the machine."""
    found = {}
    for record in records:
        if record.metric == SAME_BITS.name and record.reason.startswith(STATE):
            facts = (record.data, record.seed, record.batch_size, sorted(record.protocol.items()))
            found[record.reference, str(facts)] = record
    return found
