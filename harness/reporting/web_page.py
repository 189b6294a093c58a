"""A report as one page for a browser: it holds everything that it shows, and asks the network for nothing.

The tables stand in it as HTML, so that they can be read, searched and printed without its script; the script makes them
sortable, filters the scorecard, enlarges pictures, and shows the records behind a row.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import itables.options
import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from harness.records.metrics import METRICS
from harness.records.misleading import MISLEADS
from harness.records.record import Record
from harness.records.report_folder import PLOT_KINDS, Asked
from harness.reporting.answer import QUESTION, Answer
from harness.reporting.evidence import Decision, EvidenceVerdict
from harness.reporting.table import Cards, Table, grouped
from harness.reporting.tables import measured_words, verdict_words

_CAPTIONS = {
    "quality": "What the generators draw, each strip from one of them",
    "modes": "Density on the 3×3 Gaussian grid: the real one first",
    "losses": "Losses by step; what is faint is single steps",
    "watchdog": "What a watchdog saw while training: all three are about 1 for samples of the data",
    "memory": "Memory by batch size: documented, measured, estimated",
    "loading": "Pictures loaded a second, by disk and format",
}
_FIRST = ("quality", "modes", "losses", "watchdog")
_MOST_COMMANDS = 4
_SYMBOLS: Mapping[EvidenceVerdict, str] = {
    "reproduced": "✓",
    "partly": "◐",
    "not reproduced": "✗",
    "disputed": "≠",
    "not measured": "○",
}
# Columns of numbers, and the field of a record that they show.
_NUMBERED = {"batch": "batch_size", "batch size": "batch_size", "seed": "seed", "n": "n"}
_NUMBER = re.compile(r"[-+−]?\d[\d,]*\.?\d*(e[-+]?\d+)?")


@dataclass(frozen=True)
class MadeTable:
    """A table with its cells, ready to be shown; empty cells are ""."""

    table: Table
    cells: pd.DataFrame
    note: str


@dataclass(frozen=True)
class PagePicture:
    """A picture that stands in the page itself."""

    file: str
    caption: str
    source: str


def web_page(
    folder: Path,
    answer: Answer,
    asked: Asked,
    machine: Sequence[str],
    records: Sequence[Record],
    cards: Cards,
    decisions: Sequence[Decision],
    tables: Sequence[MadeTable],
) -> str:
    """The page of the report in `folder`, whose pictures it takes.

    Args:
        machine: what was measured on what, a line each.
        tables: all but the scorecard, which is made from `decisions`.
    """
    documents = {spec: card.document for spec, card in cards}
    behind = _Behind(records, asked)
    claims = [_claim(decision, documents, behind) for decision in decisions]
    counts = Counter(decision.verdict for decision in decisions)
    shown = [_shown(made, behind) for made in tables]
    return render(
        "report.html.j2",
        title=QUESTION,
        answer=answer,
        asked=asked,
        machine=machine,
        pictures=pictures_of(folder / "plots"),
        claims=claims,
        documents=sorted({claim["document"] for claim in claims}),
        systems=list(dict.fromkeys(claim["reference"] for claim in claims)),
        verdicts=[verdict for verdict in _SYMBOLS if counts[verdict]],
        counts=counts,
        symbols=_SYMBOLS,
        tables=shown,
        records=behind.embedded(),
    )


def render(template: str, **content: object) -> str:
    """One of the room's templates, filled; what is no `Markup` is escaped."""
    return _templates().get_template(template).render(datatables=_datatables(), **content)


def pictures_of(plots: Path) -> list[PagePicture]:
    """The pictures in a report's `plots`, those of GANs first."""
    paths = [path for path in sorted(plots.glob("*")) if path.suffix in PLOT_KINDS]
    paths.sort(key=lambda path: _FIRST.index(path.stem) if path.stem in _FIRST else len(_FIRST))
    return [PagePicture(path.name, _CAPTIONS.get(path.stem, path.stem), embedded_file(path)) for path in paths]


def embedded_file(path: Path) -> str:
    """A picture's file as a `data:` address."""
    kind = path.suffix.removeprefix(".")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def embedded_json(content: object) -> Markup:
    """`content` as JSON that may stand inside a script element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def sort_keys(column: pd.Series[Any]) -> list[str] | None:
    """What a column is sorted by where its cells begin with numbers: these; None where one doesn't."""
    keys = []
    for cell in map(str, column):
        number = _NUMBER.match(cell)
        if number is None and cell not in ("", "–"):
            return None
        keys.append("" if number is None else number.group().replace(",", "").replace("−", "-"))
    return keys if any(keys) else None


class _Behind:
    """The records behind rows: each stands in the page once, and rows have their numbers."""

    def __init__(self, records: Sequence[Record], asked: Asked) -> None:
        self._by_suite = {suite: group for (suite,), group in grouped(records, lambda r: (r.suite,))}
        self._options = " ".join(asked.options)
        self._numbers: dict[int, int] = {}
        self._kept: list[Record] = []

    def number(self, records: Iterable[Record]) -> str:
        numbers = []
        for record in records:
            if id(record) not in self._numbers:
                self._numbers[id(record)] = len(self._kept)
                self._kept.append(record)
            numbers.append(str(self._numbers[id(record)]))
        return " ".join(numbers)

    def of_row(self, suites: Sequence[str], row: Mapping[str, Any]) -> list[Record]:
        """The records of these suites that agree with the row's cells, as far as those say what a record says."""
        found, narrowed = [r for suite in suites for r in self._by_suite.get(suite, [])], False
        for column, cell in row.items():
            agreeing = [r for r in found if _says(r, column, str(cell))]
            if agreeing:
                found, narrowed = agreeing, True
        return found if narrowed else []

    def command(self, suite: str, reference: str) -> str:
        """What makes a suite's records of a reference again."""
        known = f" --references '{reference}'" if "@" not in reference and " " not in reference and reference else ""
        return " ".join(filter(None, [f"gan-harness suites test_{suite}.py{known}", self._options]))

    def embedded(self) -> Markup:
        rows = [
            {
                "suite": r.suite,
                "reference": r.reference,
                "metric": r.series,
                "value": r.value,
                "unit": r.unit,
                "status": r.status,
                "seed": r.seed,
                "n": r.n,
                "batch": r.batch_size,
                "epochs": None if r.epochs is None else round(r.epochs, 3),
                "data": r.data,
                "on": r.device,
                "how": "; ".join(f"{key}: {value}" for key, value in r.protocol.items()),
                "reason": r.reason,
                "time": r.time,
            }
            for r in self._kept
        ]
        return embedded_json([{key: value for key, value in row.items() if value not in (None, "")} for row in rows])


def _says(record: Record, column: str, cell: str) -> bool:
    """Whether a cell is what the record says of itself in a field, or in its protocol."""
    if column in _NUMBERED:
        return cell.replace(",", "") == str(getattr(record, _NUMBERED[column]))
    named = (record.reference, record.reference.removeprefix("golden: "), record.metric, record.series, record.data)
    return cell in named or cell in record.protocol.values()


def _claim(decision: Decision, documents: Mapping[str, str], behind: _Behind) -> dict[str, Any]:
    claim, here = decision.claim, decision.here
    sources = [
        {"name": source.name, "said": measured_words(found), "by": source.described(found.records)}
        for source, found in decision.elsewhere
        if found.verdict != "not measured"
    ]
    again = behind.command(here.records[0].suite, decision.reference) if here.records else ""
    return {
        "reference": decision.reference,
        "document": documents[decision.reference],
        "statement": claim.statement,
        "place": claim.place,
        "documented": claim.documented,
        "condition": f"{claim}{f' over that of {claim.versus}' if claim.versus else ''}: {claim.condition}",
        "here": measured_words(here) if here.verdict != "not measured" else "",
        "elsewhere": sources,
        "verdict": decision.verdict,
        "words": verdict_words(decision),
        "why_not": decision.why_not,
        "command": decision.to_decide or again,
        "records": behind.number(here.records),
    }


def _shown(made: MadeTable, behind: _Behind) -> dict[str, Any]:
    keys = [sort_keys(made.cells[column]) for column in made.cells.columns]
    suites = made.table.suites or (made.table.name,)
    rows = []
    for place, (_, row) in enumerate(made.cells.iterrows()):
        sorted_by = [None if key is None else key[place] for key in keys]
        cells = [{"text": str(cell), "sort": key} for cell, key in zip(row, sorted_by, strict=True)]
        found = behind.of_row(suites, {str(name): cell for name, cell in row.items()})
        asked = dict.fromkeys((r.suite, r.reference) for r in found)
        commands = [behind.command(suite, reference) for suite, reference in asked][:_MOST_COMMANDS]
        rows.append({"cells": cells, "records": behind.number(found), "count": len(found), "commands": commands})
    return {
        "name": made.table.name,
        "title": made.table.title,
        "note": made.note,
        "columns": [{"title": str(name), "misleads": _misleads().get(str(name), "")} for name in made.cells.columns],
        "rows": rows,
        "traced": any(row["count"] for row in rows),
    }


@cache
def _misleads() -> Mapping[str, str]:
    """When a measure misleads, by its title."""
    return {METRICS[name].title: text for name, text in MISLEADS.items()}


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("harness.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


@cache
def _datatables() -> Mapping[str, Markup]:
    """DataTables, script and style, as the package `itables` brings it."""
    bundle = Path(itables.options.dt_bundle)
    style = bundle.with_suffix(".css").read_text(encoding="utf-8")
    assert "</style" not in style, "it stands in the page as it is"
    return {"script": Markup(base64.b64encode(bundle.read_bytes()).decode()), "style": Markup(style)}
