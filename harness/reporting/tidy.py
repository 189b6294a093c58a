"""Figures for other programs and for papers: one row per figure in columns of numbers, and the same as LaTeX."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from harness.files.writing import write_text
from harness.records.metrics import METRICS, Better
from harness.records.record import Record
from harness.records.report_folder import TIDY
from harness.reporting.table import grouped

_LATEX_ARROWS: Mapping[Better, str] = {"higher": r"$\uparrow$", "lower": r"$\downarrow$", "equal": "$=$", "none": ""}
_LATEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "σ": r"$\sigma$",
    "µ": r"$\mu$",
    "²": r"$^2$",
    "–": "--",
    "°": r"$^\circ$",
}


@dataclass(frozen=True)
class Figure:
    """One figure: every value of one series, measured in one way, over seeds or rounds."""

    reference: str
    series: str
    metric: str
    unit: str
    better: Better
    status: str
    data: str
    device: str
    samples: int | None
    batch_size: int | None
    epochs: float | None
    protocol: str
    values: tuple[float, ...]


def figures(records: Iterable[Record]) -> list[Figure]:
    """Every figure of these records that can be read, in their order."""
    readable = [r for r in records if r.value is not None and math.isfinite(r.value) and not r.unread]
    found = []
    for _, group in grouped(readable, _apart):
        first = group[0]
        found.append(
            Figure(
                first.reference,
                first.series,
                first.metric,
                first.unit,
                first.better,
                first.status,
                first.data,
                first.device,
                first.n,
                first.batch_size,
                first.epochs,
                _protocol(first),
                tuple(r.value for r in group if r.value is not None),
            )
        )
    return found


def tidy_table(reports: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """One row per figure: its value (the median), low, high and n (how many values) as numbers.

    Of several reports it says which; `protocol` holds what two values must share to be compared.
    """
    rows = []
    for report, records in reports.items():
        for figure in figures(records):
            facts = {key: value for key, value in vars(figure).items() if key != "values"}
            facts |= {"value": median(figure.values), "low": min(figure.values), "high": max(figure.values)}
            rows.append({"report": report, **facts, "n": len(figure.values)})
    table = pd.DataFrame(rows)
    return table if len(reports) > 1 or table.empty else table.drop(columns="report")


def latex_table(reports: Mapping[str, Sequence[Record]]) -> str:
    r"""A `longtable` with rules of booktabs: a row per figure that has a better direction, a column per report.

    Values of one series on other data, or of other protocols, stand in rows of their own.
    """
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for report, records in reports.items():
        for figure in figures(records):
            if figure.better == "none" or figure.status not in ("measured", "estimated"):
                continue
            unit = f" ({figure.unit})" if figure.unit else ""
            title = METRICS[figure.metric].title if figure.metric in METRICS else figure.metric
            what = figure.series.replace(figure.metric, title, 1) + unit
            size = f"batch {figure.batch_size}" if figure.batch_size is not None and not figure.epochs else ""
            trained = f"{figure.epochs:.3g} epochs" if figure.epochs else ""
            counted = f"{figure.samples:,} samples" if figure.samples else ""
            status = "estimated" if figure.status == "estimated" else ""
            on = ", ".join(filter(None, [status, figure.data, trained, counted, size]))
            key = (figure.reference, what, _LATEX_ARROWS[figure.better], on, figure.protocol)
            rows.setdefault(key, {})[report] = rounded(figure.values, "--")
    columns = "l" * (4 + len(reports))
    head = " & ".join(["System", "Metric", "", "On", *map(_escaped, reports)])
    body = [
        " & ".join([_escaped(name), _escaped(what), arrow, _escaped(on), *(values.get(r, "") for r in reports)])
        for (name, what, arrow, on, _), values in rows.items()
    ]
    lines = [
        "% \\usepackage{booktabs,longtable}; median (least--greatest of n values), digits by their spread",
        f"\\begin{{longtable}}{{{columns}}}",
        "\\toprule",
        f"{head} \\\\",
        "\\midrule",
        "\\endhead",
        "\\bottomrule",
        "\\endfoot",
        *(f"{line} \\\\" for line in body),
        "\\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def write_tidy(folder: Path, reports: Mapping[str, Sequence[Record]]) -> list[Path]:
    """Write both forms into `folder`; returns their paths, none where there is no figure."""
    table = tidy_table(reports)
    if table.empty:
        return []
    csv, latex = folder / f"{TIDY}.csv", folder / f"{TIDY}.tex"
    write_text(csv, table.to_csv(index=False))
    write_text(latex, latex_table(reports))
    return [csv, latex]


def rounded(values: Sequence[float], to: str = "to") -> str:
    """The median with the range, to as many digits as the spread of the values leaves meaning to: two of the spread.

    `to` stands between the ends of the range. Values without any spread, or one alone, get four significant digits.
    """
    middle, low, high = median(values), min(values), max(values)
    if high == low:
        return f"{middle:.4g}" + (f" (all {len(values)})" if len(values) > 1 else "")
    places = 1 - math.floor(math.log10(high - low))
    shown = [_to_place(value, places) for value in (middle, low, high)]
    between = f" {to} " if to.isalpha() else to
    return f"{shown[0]} ({shown[1]}{between}{shown[2]}; n = {len(values)})"


def _to_place(value: float, places: int) -> str:
    """Rounded to so many places after the point; before it where they are negative."""
    if abs(value) < 1e-4 or places > 8:
        return f"{value:.3g}"
    return f"{round(value, places):,.{max(0, places)}f}"


def _apart(record: Record) -> tuple[str, ...]:
    facts = (record.status, record.data, record.device, record.n, record.batch_size, record.epochs)
    return (record.reference, record.series, *map(str, facts), _protocol(record))


def _protocol(record: Record) -> str:
    return "; ".join(f"{key}: {value}" for key, value in sorted(record.protocol.items()))


def _escaped(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)
