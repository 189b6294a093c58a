"""Write tables as CSV and Markdown, each with the machine and the versions on top."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.files.writing import write_text
from harness.records.record import Record, read_records
from harness.records.report_folder import ENVIRONMENT, RECORDS, REPORT, WEB_PAGE, read_session
from harness.reporting.answer import QUESTION, answer
from harness.reporting.documented import documented_tables
from harness.reporting.evidence import decide, read_evidence, tally_claims
from harness.reporting.loading_tables import loading_rates
from harness.reporting.memory_tables import memory_rows, times_per_image
from harness.reporting.plots import save_batch_sizes, save_loading
from harness.reporting.table import Cards
from harness.reporting.tables import SCORECARD, TABLES, scorecard_of
from harness.reporting.tidy import write_tidy
from harness.reporting.web_page import MadeTable, pictures_of, web_page


def write_report(folder: Path, cards: Cards) -> list[Path]:
    """Make every table of the records in `folder`, and two pages with all of them; returns what was written.

    `report.html` is for a browser, `report.md` for where Markdown is shown, `tidy.csv` and `tidy.tex` hold the figures
    for other programs and for papers.

    The scorecard reads the reports in `reports/measured` as well.

    Raises:
        ValueError: there are no records, or they can't be read.
    """
    records, asked = read_records(folder / RECORDS), read_session(folder)
    decisions = decide(cards, records, read_evidence(without=folder))
    answered = answer(records, asked, decisions)
    heading = _heading(records, _environments(folder))
    said = "\n".join(f"- {line}" for line in (*answered.lines, *heading))
    written, parts, shown = [], [f"# {QUESTION}\n\n{said}"], []
    scorecard = replace(SCORECARD, make=lambda *_: scorecard_of(decisions))
    for table in (scorecard, *TABLES[1:]):
        made = MadeTable(table, _without_gaps(table.make(records, cards)), table.note(records, cards))
        if made.cells.empty:
            continue
        note = f"\n\n{made.note}" if made.note else ""
        lines = "\n".join(f"- {line}" for line in heading)
        written += write_table(folder, table.name, made.cells, f"# {table.title}\n\n{lines}{note}")
        parts.append(f"## {table.title}{note}\n\n{_markdown(made.cells)}")
        shown.append(made)
    _draw(folder / "plots", records, cards)
    plots = pictures_of(folder / "plots")
    if plots:
        parts.append("## Plots\n\n" + "\n".join(f"![{plot.caption}](plots/{plot.file})" for plot in plots))
    write_text(folder / REPORT, "\n\n".join(parts) + "\n")
    page = web_page(folder, answered, asked, heading, records, cards, decisions, shown[1:])
    write_text(folder / WEB_PAGE, page)
    return [folder / WEB_PAGE, folder / REPORT, *written, *write_tidy(folder, {"value": records})]


def _draw(plots: Path, records: Sequence[Record], cards: Cards) -> None:
    rows = memory_rows(records, cards)
    if rows:
        save_batch_sizes(plots / "memory.png", rows, times_per_image(records, cards))
    rates, computing = loading_rates(records)
    if rates:
        save_loading(plots / "loading.png", rates, computing)


def write_documented(folder: Path, cards: Cards) -> list[Path]:
    """Write what the documents print, from the cards."""
    heading = "Figures of the documents, from the cards. Nothing here was measured by this project."
    written = []
    for name, table in documented_tables(cards).items():
        if not table.empty:
            title = f"# Documented: {name.replace('_', ' ')}\n\n{heading}"
            written += write_table(folder, name, _without_gaps(table), title)
    return written


def write_evidence(folder: Path, cards: Cards) -> list[Path]:
    """Write the scorecard of every report below `folder`, as they stand.

    Raises:
        ValueError: there is none, or one is damaged.
    """
    evidence = read_evidence(folder)
    if not evidence:
        raise ValueError(f"{folder} holds no report, nor reports two levels below it")
    decisions = decide(cards, [], evidence)
    made = _without_gaps(scorecard_of(decisions).drop(columns="measured here"))
    names = "\n".join(f"- [{source.name}]({_place(folder, source.name)})" for source in evidence)
    heading = f"# {SCORECARD.title}\n\n{tally_claims(decisions)}\n\nFrom these reports:\n\n{names}"
    return write_table(folder, SCORECARD.name, made, heading)


def _place(folder: Path, name: str) -> str:
    """Where a report is read: its page, or its folder, for an evaluation has no page."""
    return f"{name}/{REPORT}" if (folder / name / REPORT).is_file() else f"{name}/"


def _without_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """The table with empty cells where it has no value."""
    return table.astype(object).where(table.notna(), "")


def write_table(folder: Path, name: str, table: pd.DataFrame, heading: str) -> list[Path]:
    """Write one table as CSV and Markdown; returns both paths."""
    csv, markdown = folder / f"{name}.csv", folder / f"{name}.md"
    write_text(csv, table.to_csv(index=False))
    write_text(markdown, f"{heading}\n\n{_markdown(table)}\n")
    return [csv, markdown]


def _markdown(table: pd.DataFrame) -> str:
    # A bar inside a cell would end it.
    escaped = table.map(lambda cell: str(cell).replace("|", "\\|"))
    return escaped.to_markdown(index=False, disable_numparse=True)


def _heading(records: Sequence[Record], environments: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    for fingerprint in dict.fromkeys(r.environment for r in records):
        facts = environments.get(fingerprint, {})
        versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
        size = f"{facts.get('cores', '?')} cores, {facts.get('memory_gib', '?')} GiB"
        lines.append(f"Machine: {facts.get('processor', 'unknown')}, {size}, {facts.get('system', '')}")
        lines.append(f"Computed on: {facts.get('device', 'unknown')}")
        lines.append(f"Versions: Python {facts.get('python', '?')}, {versions}")
        if "driver" in facts:
            lines.append(f"GPU: driver {facts['driver']}, CUDA {facts['cuda']}, cuDNN {facts['cudnn']}")
    lines.append(f"Profile: {', '.join(dict.fromkeys(r.profile for r in records))}")
    data = dict.fromkeys(r.data for r in records if r.data)
    lines.append(f"Data: {', '.join(data)}")
    counts = Counter(r.status for r in records)
    lines.append("Records: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    times = sorted(r.time for r in records)
    lines.append(f"Taken: {times[0]} to {times[-1]}")
    return lines


def _environments(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / ENVIRONMENT
    if not path.is_file():
        return {}
    try:
        found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return found
