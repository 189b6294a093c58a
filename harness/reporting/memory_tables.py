"""Tables of memory and time per batch size, in the documents' layout, and the lines through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import linregress

from harness.records.record import Record
from reference import Card

Cards = Sequence[tuple[str, Card]]

NOT_MEASURED = "not measured yet"
_FIGURES = {
    "driver_mib": "the driver's figure",
    "peak_reserved_mib": "reserved by PyTorch's allocator",
    "peak_allocated_mib": "allocated: tensors and workspaces",
    "tensors_mib": "tensors",
    "workspaces_mib": "allocated beyond tensors: workspaces",
    "context_mib": "context and libraries",
    "bare_context_mib": "the CUDA context before libraries are loaded",
    "peak_resident_mib": "resident in RAM",
}
_ON_A_GPU = "a GPU"
_TAKEN_BY = {"memory": "a process of its own", "speed": "pytest-benchmark"}
_PARTS = ("weights", "gradients", "optimiser state", "batch", "activations", "backward pass", "update",
          "cuBLAS workspaces", "rounding")  # fmt: skip


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
        rows.append(Row(spec, _FIGURES["driver_mib"], "documented", "the document", documented))
        measured = _rows(spec, mine, "measured")
        if not any(row.figure in (_FIGURES["driver_mib"], _FIGURES["peak_reserved_mib"]) for row in measured):
            waiting = dict.fromkeys(documented, NOT_MEASURED)
            rows.append(Row(spec, _FIGURES["driver_mib"], "measured", _ON_A_GPU, waiting))
        rows += measured + _rows(spec, mine, "estimated")
    return rows


def fitted(row: Row) -> Line | None:
    """The line through a row's numbers; None for fewer than three."""
    numbers = row.numbers
    if len(numbers) < 3:
        return None
    sizes = np.fromiter(numbers, float)
    values = np.fromiter(numbers.values(), float)
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
    estimates = [r for r in found if (r.metric, r.status) == ("peak_allocated_mib", "estimated")]
    for record in estimates:
        same = [r for r in found if (r.reference, r.batch_size) == (record.reference, record.batch_size)]
        parts = {r.protocol["part"]: r.value or 0.0 for r in same if r.metric == "peak_part_mib"}
        reserved = [r.value for r in same if (r.metric, r.status) == ("peak_reserved_mib", "estimated")]
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
    for estimated in [r for r in records if (r.suite, r.metric) == ("memory", "cpu_peak_tensors")]:
        if estimated.status != "estimated":
            continue
        seen = {
            r.metric: r.value
            for r in records
            if (r.suite, r.reference, r.batch_size, r.status)
            == ("memory", estimated.reference, estimated.batch_size, "measured")
        }
        tensors, everything = seen.get("cpu_peak_tensors"), seen.get("cpu_peak_everything")
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
                "steps": r.protocol.get("steps", ""),
                "more bytes after the last": "" if r.value is None else f"{r.value:,.0f}",
                "measured on": f"{r.device}, {r.protocol.get('by', '')}",
            }
            for r in records
            if (r.suite, r.metric, r.status) == ("memory", "leaked_bytes", "measured")
        ]
    )


def speed_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """Step times and what follows from them; the price of determinism where both ways were measured."""
    documented = {
        spec: ", ".join(f"{d.minutes:g} ({d.hardware})" for d in card.durations if d.epochs == card.epochs)
        for spec, card in cards
    }
    found = [r for r in records if r.suite in ("memory", "speed") and r.status == "measured"]
    groups: dict[tuple[str, str, int | None, str, str], dict[str, Record]] = {}
    for record in found:
        key = (record.reference, record.suite, record.batch_size, record.device, record.protocol.get("numerics", ""))
        groups.setdefault(key, {})[record.metric] = record
    rows = []
    for (reference, suite, batch, device, numerics), values in groups.items():
        if "step_ms_median" not in values:
            continue
        other = [g for k, g in groups.items() if k[:4] == (reference, suite, batch, device) and k[4] != numerics]
        rows.append(
            {
                "reference": reference,
                "batch": batch,
                "measured on": device,
                "numerics": numerics,
                "threads": values["step_ms_median"].threads or "",
                "step, ms (quartiles)": _timed(values),
                "images/s": _number(values, "images_per_second", "{:,.0f}"),
                "RAM or GPU peak, MiB": _number(values, "peak_resident_mib", "{:,.0f}")
                or _number(values, "peak_reserved_mib", "{:,.0f}"),
                "documented run, minutes": documented.get(reference, ""),
                "its steps alone here, minutes": _number(values, "documented_run_minutes", "{:,.1f}"),
                "time / time as documented": _price(numerics, values, other),
                "held back by": values["step_ms_median"].reason.partition("throttled: ")[2],
                "taken by": _TAKEN_BY[suite],
            }
        )
    return pd.DataFrame(rows)


def times_per_image(records: Sequence[Record], cards: Cards) -> dict[str, dict[int, float]]:
    """Milliseconds per image by batch size, for each reference of the memory table and what it was measured on."""
    lines: dict[str, dict[int, float]] = {}
    named = {spec for spec, card in cards if card.memory}
    for r in records:
        if (r.suite, r.metric, r.status) == ("memory", "step_ms_median", "measured") and r.reference in named:
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
        document = slopes.get((_FIGURES["driver_mib"], "documented"))
        tensors = slopes.get((_FIGURES["tensors_mib"], "estimated"))
        tensors = tensors or slopes.get((_FIGURES["peak_allocated_mib"], "estimated"))  # records of earlier versions
        reserved = slopes.get((_FIGURES["peak_reserved_mib"], "estimated"))
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
    others = {r.reason for r in records if r.suite == "memory" and r.metric == "other_processes" and r.value}
    if others:
        lines.append(f"Other processes held memory on the card meanwhile: {'; '.join(sorted(others))}.")
    return "\n\n".join(lines)


def _rows(spec: str, records: Sequence[Record], status: str) -> list[Row]:
    groups: dict[tuple[str, str], dict[int, float | str]] = {}
    for record in records:
        if record.metric not in _FIGURES or record.batch_size is None:
            continue
        source = record.device if status == "estimated" else _source(record)
        if record.status == status and record.value is not None:
            groups.setdefault((record.metric, source), {})[record.batch_size] = float(record.value)
        elif record.status in ("skipped", "failed") and status == "measured":
            groups.setdefault((record.metric, source), {})[record.batch_size] = record.reason
    order = list(_FIGURES)
    return [
        Row(spec, _FIGURES[metric], status, source, values)
        for (metric, source), values in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]


def _source(record: Record) -> str:
    numerics = record.protocol.get("numerics", "")
    on_cuda = record.protocol.get("computed on") == "cuda"
    return f"{record.device}, {numerics}" if numerics and on_cuda else record.device


def _cell(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.0f}"


def _ratios(records: Sequence[Record], estimated: float) -> str:
    return ", ".join(
        f"{r.value / estimated:.3f} ({r.protocol.get('numerics', '')})"
        for r in records
        if (r.metric, r.status) == ("peak_allocated_mib", "measured") and r.value is not None
    )


def _timed(values: Mapping[str, Record]) -> str:
    middle, low, high = (_number(values, name, "{:.4g}") for name in ("step_ms_median", "step_ms_q1", "step_ms_q3"))
    return f"{middle} ({low} to {high})"


def _number(values: Mapping[str, Record], metric: str, form: str) -> str:
    record = values.get(metric)
    return "" if record is None or record.value is None else form.format(record.value)


def _price(numerics: str, values: Mapping[str, Record], other: Sequence[Mapping[str, Record]]) -> str:
    """This way of computing over the document's, where both were measured."""
    documented = [g["step_ms_median"].value for g in other if "step_ms_median" in g]
    own = values["step_ms_median"].value
    if numerics != "deterministic" or not documented or not documented[0] or own is None:
        return ""
    return f"{own / documented[0]:.2f}"


def device_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per reference and numerics, and one for the device itself: what every other figure of it stands on."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for r in records:
        if r.suite != "device" or r.value is None:
            continue
        row = rows.setdefault((r.reference, r.protocol.get("numerics", "")), {"measured on": r.device})
        if r.metric == "device_check":
            row[r.protocol["check"]] = "yes" if r.value == 1 else f"NO: {r.reason}"
        else:
            row[r.metric.replace("_", " ")] = f"{r.value:.5g}"
    named = [{"reference": reference, "numerics": numerics, **row} for (reference, numerics), row in rows.items()]
    return pd.DataFrame(named).fillna("–")


def machine_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """A row per timed cell: the machine before the timed steps and during the last of them, and what held it back."""
    rows: dict[tuple[str, int | None, str, str], dict[str, str]] = {}
    for r in records:
        if r.suite not in ("memory", "speed") or r.value is None:
            continue
        key = (r.reference, r.batch_size, r.protocol.get("numerics", ""), r.suite)
        when = r.protocol.get("when")
        if when:
            row = rows.setdefault(key, {"measured on": r.device})
            row[f"{r.metric.replace('_', ' ')}, {when}"] = f"{r.value:.5g}"
            row |= {word: r.protocol[word] for word in ("driver", "governor") if word in r.protocol}
        elif r.metric == "throttled":
            rows.setdefault(key, {"measured on": r.device})["throttled"] = r.reason if r.value else "no"
    named = [
        {
            "reference": k[0],
            "batch": str(k[1]),
            "numerics": k[2],
            "taken by": _TAKEN_BY[k[3]],
            "throttled": "nobody counts it here",
            **row,
        }
        for k, row in rows.items()
    ]
    return pd.DataFrame(named).fillna("–")


MEMORY_TABLES: Mapping[str, Callable[[Sequence[Record], Cards], pd.DataFrame]] = {
    "memory": memory_table,
    "memory_fit": memory_fit_table,
    "footprint": footprint_table,
    "estimator": estimator_table,
    "leaks": leaks_table,
    "speed": speed_table,
    "machine": machine_table,
    "device": device_table,
}
