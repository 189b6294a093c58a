"""A report's folder: what its files are called, and what else may lie there."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from harness.files.writing import free_name

RECORDS, ENVIRONMENT, SESSION = "records.jsonl", "environment.json", "session.json"
REPORT = "report.md"
COMPARISON = "comparison"  # the table of what this run is against a baseline, if there is one
_FOLDERS = ("plots", "runs")


def read_session(folder: Path) -> dict[str, list[str]]:
    """The specs and reference modules that the report in `folder` was asked for.

    Raises:
        ValueError: there is no report, or the file is damaged.
    """
    path = folder / SESSION
    try:
        content: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        return {"specs": content["specs"], "modules": content["modules"]}
    except FileNotFoundError:
        raise ValueError(
            f"{path} isn't there: run `gan-harness suites` first, or name the folder of a report"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
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


def _own_files(tables: Collection[str]) -> set[str]:
    files = {f"{name}.{kind}" for name in (*tables, COMPARISON) for kind in ("csv", "md")}
    return {RECORDS, ENVIRONMENT, SESSION, REPORT, *files}
