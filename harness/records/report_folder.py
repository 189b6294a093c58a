"""A report's folder: what its files are called, and what else may lie there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.files.writing import free_name, write_text

RECORDS, ENVIRONMENT, SESSION = "records.jsonl", "environment.json", "session.json"
REPORT, WEB_PAGE, TIDY = "report.md", "report.html", "tidy"
COMMENT = "comment.md"  # what it says, for a pull request
COMPARISON = "comparison"  # the table of what this run is against a baseline, if there is one
PLOT_KINDS = (".png", ".gif")  # what a report's `plots` holds to be looked at
CHECKS = "checks"  # what every check has told: a run that was interrupted goes on from there
_FOLDERS = ("plots", "runs", CHECKS)


@dataclass(frozen=True)
class Asked:
    """What a report was asked for, of which code, and how far it came.

    Attributes:
        specs: the references that its tables are made for.
        modules: what registers some of them.
        revision: the commit of the repository that it was measured in, "" where that isn't known.
        clean: whether that commit is all of the code.
        finished: when the last check had ended; "" for a run that was interrupted, or is going on.
        options: those that were given, as on the command line, but for what says which references.
        outcomes: how many checks passed, failed, and were skipped; empty where nobody counted.
        code: by module, what tells its code from another: see `reference.source_digest`.
    """

    specs: tuple[str, ...]
    modules: tuple[str, ...] = ()
    revision: str = ""
    clean: bool = False
    finished: str = ""
    options: tuple[str, ...] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)


def write_session(folder: Path, asked: Asked) -> None:
    """Write what `read_session` reads."""
    write_text(folder / SESSION, json.dumps(asdict(asked), indent=1) + "\n")


def read_session(folder: Path) -> Asked:
    """What the report in `folder` was asked for; reports of before 0.3 say nothing of their revision.

    Raises:
        ValueError: there is no report, or the file is damaged.
    """
    path = folder / SESSION
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        specs, modules = tuple(content.pop("specs")), tuple(content.pop("modules"))
        return Asked(specs, modules, **(content | {"options": tuple(content.get("options", ()))}))
    except FileNotFoundError:
        raise ValueError(
            f"{path} isn't there: run `gan-harness suites` first, or name the folder of a report"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def set_aside(folder: Path) -> Path | None:
    """Give an earlier report in `folder` another name beside it, and make an empty folder; None where there is none.

    Its trainings may have taken days: no later run deletes them.

    Raises:
        ValueError: it can't be renamed.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        kept = folder.rename(free_name(folder))
    except OSError as error:  # a file system of its own, say
        why = error.strerror or error
        raise ValueError(
            f"{folder} holds an earlier report that can't be put aside ({why}): name another folder"
        ) from error
    folder.mkdir()
    return kept


def foreign_files(folder: Path, tables: Collection[str]) -> list[str]:
    """What lies in `folder` and belongs to no report with these tables, by name."""
    if not folder.is_dir():
        return []
    return sorted({path.name for path in folder.iterdir()} - _own_files(tables) - set(_FOLDERS))


def report_files(folder: Path, tables: Collection[str]) -> list[Path]:
    """Records, tables and plots of a report, relative to its folder: what its page is made of."""
    own = sorted(Path(name) for name in _own_files(tables) - {WEB_PAGE} if (folder / name).is_file())
    drawn = [path for kind in PLOT_KINDS for path in (folder / "plots").glob(f"*{kind}")]
    return own + sorted(plot.relative_to(folder) for plot in drawn)


def _own_files(tables: Collection[str]) -> set[str]:
    files = {f"{name}.{kind}" for name in (*tables, COMPARISON) for kind in ("csv", "md")}
    return {RECORDS, COMMENT, ENVIRONMENT, SESSION, REPORT, WEB_PAGE, f"{TIDY}.csv", f"{TIDY}.tex", *files}
