"""Tables of memory and time per batch size, in the documents' layout, and the lines through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.records.metrics import (
    BARE_CONTEXT_MIB,
    BY,
    COMPUTED_ON,
    CONTEXT_MIB,
    CPU_PEAK_EVERYTHING,
    CPU_PEAK_TENSORS,
    DRIVER_MIB,
    LEAKED_BYTES,
    METRICS,
    NUMERICS,
    OTHER_PROCESSES,
    PART,
    PEAK_ALLOCATED,
    PEAK_PART,
    PEAK_RESERVED,
    PEAK_RSS,
    STEP_MS,
    STEPS,
    TENSORS_MIB,
    WORKSPACES_MIB,
)
from harness.records.record import Record
from harness.reporting.table import Cards, Table

NOT_MEASURED = "not measured yet"
_FIGURES = (
    DRIVER_MIB,
    PEAK_RESERVED,
    PEAK_ALLOCATED,
    TENSORS_MIB,
    WORKSPACES_MIB,
    CONTEXT_MIB,
    BARE_CONTEXT_MIB,
    PEAK_RSS,
)
_ORDER = [metric.name for metric in _FIGURES]
_ON_A_GPU = "a GPU"
_PARTS = (
    "weights",
    "gradients",
    "optimiser state",
    "batch",
    "activations",
    "backward pass",
    "update",
    "cuBLAS workspaces",
    "rounding",
)


@dataclass(frozen=True)
class Row:
    """One quantity of one reference over batch sizes: where it comes from, and its values (MiB, or words)."""

    reference: str
    figure: str
    status: str
    source: str
    values: Mapping[int, float | str]

    @property
    def numbers(self) -> dict[int, float]:
        """The values that are numbers."""
        return {size: value for size, value in sorted(self.values.items()) if isinstance(value, float)}


@dataclass(frozen=True)
class Line:
    """Least squares through a row: `slope` MiB per image, `intercept` MiB, and what is left at each batch size."""

    slope: float
    intercept: float
    residuals: Mapping[int, float]


def memory_rows(records: Sequence[Record], cards: Cards) -> list[Row]:
    """For each reference whose document has a memory table: documented, measured, estimated.

    Others have one batch size; they stand in the table of footprints.
    """
    found = [r for r in records if r.suite == "memory"]
    rows: list[Row] = []
    for spec, card in cards:
        mine = [r for r in found if r.reference == spec]
        if not card.memory or not mine:
            continue
        documented = {figure.batch_size: float(figure.megabytes) for figure in card.memory}
        rows.append(Row(spec, DRIVER_MIB.title, "documented", "the document", documented))
        measured = _rows(spec, mine, "measured")
        if not any(row.figure in (DRIVER_MIB.title, PEAK_RESERVED.title) for row in measured):
            waiting = dict.fromkeys(documented, NOT_MEASURED)
            rows.append(Row(spec, DRIVER_MIB.title, "measured", _ON_A_GPU, waiting))
        rows += measured + _rows(spec, mine, "estimated")
    return rows


def fitted(row: Row) -> Line | None:
    """The line through a row's numbers; None for fewer than three."""
    numbers = row.numbers
    if len(numbers) < 3:
        return None
    sizes = np.fromiter(numbers, float)
    values = np.fromiter(numbers.values(), float)
    from scipy.stats import linregress  # takes a second

    line = linregress(sizes, values)
    left = values - (line.intercept + line.slope * sizes)
    return Line(float(line.slope), float(line.intercept), dict(zip(numbers, left.tolist(), strict=True)))


def memory_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per reference, figure and source; a column per batch size. The documents' MB are the driver's MiB."""
    rows = memory_rows(records, cards)
    sizes = sorted({size for row in rows for size in row.values})
    return pd.DataFrame(
        [
            {"reference": row.reference, "MiB": row.figure, "status": row.status, "source": row.source}
            | {str(size): _cell(row.values.get(size)) for size in sizes}
            for row in rows
        ]
    )


def memory_fit_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """The line through each row of the memory table, and what it leaves."""
    fits = [(row, line) for row in memory_rows(records, cards) if (line := fitted(row)) is not None]
    return pd.DataFrame(
        [
            {
                "reference": row.reference,
                "MiB": row.figure,
                "status": row.status,
                "source": row.source,
                "MiB per image": f"{line.slope:.3f}",
                "intercept, MiB": f"{line.intercept:.0f}",
                "residuals, MiB": ", ".join(f"{size}: {round(left):+d}" for size, left in line.residuals.items()),
            }
            for row, line in fits
        ]
    )


def footprint_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """What a step holds at its peak, estimated: by kind, with the layer that makes the peak; measured beside it."""
    found = [r for r in records if r.suite == "memory"]
    rows = []
    estimates = [r for r in found if (r.metric, r.status) == (PEAK_ALLOCATED.name, "estimated")]
    for record in estimates:
        same = [r for r in found if (r.reference, r.batch_size) == (record.reference, record.batch_size)]
        parts = {r.protocol[PART]: r.value or 0.0 for r in same if r.metric == PEAK_PART.name}
        reserved = [r.value for r in same if (r.metric, r.status) == (PEAK_RESERVED.name, "estimated")]
        rows.append(
            {
                "reference": record.reference,
                "batch size": record.batch_size,
                "allocated, estimated (MiB)": f"{record.value:.1f}",
                "reserved, estimated (MiB)": ", ".join(f"{value:.0f}" for value in reserved),
                **{part: f"{parts.get(part, 0.0):.1f}" for part in _PARTS},
                "the peak is at": record.reason,
                "allocated, measured / estimated": _ratios(same, record.value or 1.0) or NOT_MEASURED,
            }
        )
    return pd.DataFrame(rows)


def estimator_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """The estimator beside what PyTorch's profiler saw on the CPU, byte for byte."""
    rows = []
    for estimated in [r for r in records if (r.suite, r.metric) == ("memory", CPU_PEAK_TENSORS.name)]:
        if estimated.status != "estimated":
            continue
        seen = {
            r.metric: r.value
            for r in records
            if (r.suite, r.reference, r.batch_size, r.status)
            == ("memory", estimated.reference, estimated.batch_size, "measured")
        }
        tensors, everything = seen.get(CPU_PEAK_TENSORS.name), seen.get(CPU_PEAK_EVERYTHING.name)
        rows.append(
            {
                "reference": estimated.reference,
                "batch": estimated.batch_size,
                "tensors, estimated (bytes)": f"{estimated.value:,.0f}",
                "tensors, profiled (bytes)": "" if tensors is None else f"{tensors:,.0f}",
                "profiled / estimated": "" if tensors is None else f"{tensors / (estimated.value or 1):.4f}",
                "with kernels' own workspaces": (
                    "" if everything is None else f"{everything / (estimated.value or 1):.4f}"
                ),
            }
        )
    return pd.DataFrame(rows)


def leaks_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """What is held after some steps, and after more."""
    return pd.DataFrame(
        [
            {
                "reference": r.reference,
                "batch": r.batch_size,
                "steps": r.protocol.get(STEPS, ""),
                "more bytes after the last": "" if r.value is None else f"{r.value:,.0f}",
                "measured on": f"{r.device}, {r.protocol.get(BY, '')}",
            }
            for r in records
            if (r.suite, r.metric, r.status) == ("memory", LEAKED_BYTES.name, "measured")
        ]
    )


def times_per_image(records: Sequence[Record], cards: Cards) -> dict[str, dict[int, float]]:
    """Milliseconds per image by batch size, for each reference of the memory table and what it was measured on."""
    lines: dict[str, dict[int, float]] = {}
    named = {spec for spec, card in cards if card.memory}
    for r in records:
        if (r.suite, r.metric, r.status) == ("memory", STEP_MS.name, "measured") and r.reference in named:
            assert r.value is not None
            assert r.batch_size is not None
            lines.setdefault(f"{r.reference}, {_source(r)}", {})[r.batch_size] = r.value / r.batch_size
    return lines


def memory_note(records: Sequence[Record], cards: Cards) -> str:
    """What a reader must know of the memory table, in figures of this very report."""
    lines = [
        "The documents' MB are what nvidia-smi shows, which are MiB: the CUDA context, everything that PyTorch's "
        "allocator has reserved, and what libraries hold beside it. *Estimated* rows are computed without a GPU: fake "
        "tensors go through the reference's own step, and the caching allocator's rules act on what they take. They "
        "leave out the context and the workspaces that cuDNN takes within a convolution. cuBLAS' are counted as the "
        "version of PyTorch handles them that a row names. With cudnn.benchmark the allocator gives everything back "
        "after each search for an algorithm, so that its segments are cut otherwise than estimated."
    ]
    rows = memory_rows(records, cards)
    for spec in dict.fromkeys(row.reference for row in rows):
        mine = [row for row in rows if row.reference == spec]
        slopes = {(row.figure, row.status): line for row in mine if (line := fitted(row)) is not None}
        document = slopes.get((DRIVER_MIB.title, "documented"))
        tensors = slopes.get((TENSORS_MIB.title, "estimated"))
        tensors = tensors or slopes.get((PEAK_ALLOCATED.title, "estimated"))  # records of earlier versions
        reserved = slopes.get((PEAK_RESERVED.title, "estimated"))
        if document and tensors and reserved:
            lines.append(
                f"`{spec}`: the document's figures grow by {document.slope:.2f} MiB per image. Tensors alone take "
                f"{tensors.slope:.2f}; what the allocator reserves for them, because blocks that are given back don't "
                f"fit the next request and stay cached, grows by {reserved.slope:.2f}. Of the document's "
                f"{document.slope - tensors.slope:.2f} beyond the tensors, caching explains "
                f"{reserved.slope - tensors.slope:.2f}; {document.slope - reserved.slope:+.2f} is left for workspaces. "
                f"At batch 0 the lines are {document.intercept - reserved.intercept:.0f} MiB apart: the context, and "
                "what the libraries hold."
            )
    others = {r.reason for r in records if r.suite == "memory" and r.metric == OTHER_PROCESSES.name and r.value}
    if others:
        lines.append(f"Other processes held memory on the card meanwhile: {'; '.join(sorted(others))}.")
    return "\n\n".join(lines)


def _rows(spec: str, records: Sequence[Record], status: str) -> list[Row]:
    groups: dict[tuple[str, str], dict[int, float | str]] = {}
    for record in records:
        if record.metric not in _ORDER or record.batch_size is None:
            continue
        source = record.device if status == "estimated" else _source(record)
        if record.status == status and record.value is not None:
            groups.setdefault((record.metric, source), {})[record.batch_size] = float(record.value)
        elif record.status in ("skipped", "failed") and status == "measured":
            groups.setdefault((record.metric, source), {})[record.batch_size] = record.reason
    return [
        Row(spec, METRICS[metric].title, status, source, values)
        for (metric, source), values in sorted(groups.items(), key=lambda item: _ORDER.index(item[0][0]))
    ]


def _source(record: Record) -> str:
    numerics = record.protocol.get(NUMERICS, "")
    on_cuda = record.protocol.get(COMPUTED_ON) == "cuda"
    return f"{record.device}, {numerics}" if numerics and on_cuda else record.device


def _cell(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.0f}"


def _ratios(records: Sequence[Record], estimated: float) -> str:
    return ", ".join(
        f"{r.value / estimated:.3f} ({r.protocol.get(NUMERICS, '')})"
        for r in records
        if (r.metric, r.status) == (PEAK_ALLOCATED.name, "measured") and r.value is not None
    )


_MEMORY = ("memory",)
MEMORY_TABLES = (
    Table(
        "memory",
        "GPU memory by batch size, as the documents tabulate it",
        ("reference", "MiB", "status", "source"),
        memory_table,
        memory_note,
    ),
    Table(
        "memory_fit",
        "GPU memory: the lines through these rows",
        ("reference", "MiB", "status", "source"),
        memory_fit_table,
        suites=_MEMORY,
    ),
    Table("footprint", "What a step holds at its peak", ("reference", "batch size"), footprint_table, suites=_MEMORY),
    Table(
        "estimator",
        "The estimator beside PyTorch's profiler, on the CPU",
        ("reference", "batch"),
        estimator_table,
        suites=_MEMORY,
    ),
    Table(
        "leaks",
        "Memory held after some steps and after more",
        ("reference", "batch", "steps"),
        leaks_table,
        suites=_MEMORY,
    ),
)
