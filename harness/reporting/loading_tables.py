"""Tables of loading: how fast pictures come from which disk in which format, and what an epoch takes then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from harness.records.metrics import (
    CACHE,
    COMPUTING_RATE,
    CPU_SECONDS,
    DATA_SET,
    DISK_MOVING,
    DISK_SEEKING,
    EPOCH_HOURS,
    FIRST_BATCH_MS,
    FORMAT,
    IMAGES_PER_SECOND,
    OPTION,
    OPTION_NEXT_EPOCH,
    OPTION_RATE,
    OPTION_VALUE,
    READ_MB_PER_SECOND,
    SAME_PICTURES,
    STORAGE,
    WINDOW,
    WORKERS,
)
from harness.records.record import Record
from harness.reporting.table import Cards, Table

_Key = tuple[str, str, str, str]  # storage, cache, format, workers
_AS_DOCUMENTED, _PACKED = "folder, as documented", "packed"
_SETS = {"celeba": "CelebA", "lsun": "LSUN"}


def loading_table(records: Sequence[Record], cards: Cards) -> pd.DataFrame:
    """A row per disk, cache, format and number of workers; below a disk's what the documents report for such a one."""
    groups = _cells(records)
    rows: list[dict[str, object]] = []
    storages = list(dict.fromkeys(key[0] for key in groups))
    for storage, cache, form, workers in sorted(groups, key=lambda key: storages.index(key[0])):
        values = groups[storage, cache, form, workers]
        rate = values[IMAGES_PER_SECOND.name]
        baseline = groups.get((storage, cache, _AS_DOCUMENTED, workers), {}).get(IMAGES_PER_SECOND.name)
        rows.append(
            {
                "storage": storage,
                "status": rate.status,
                "cache": cache,
                "format": form,
                "workers": workers,
                "images/s": _figure(rate, "{:,.0f}"),
                "× as documented": _ratio(rate, baseline),
                "MB/s read": _figure(values.get(READ_MB_PER_SECOND.name), "{:,.1f}"),
                "first batch, ms": _figure(values.get(FIRST_BATCH_MS.name), "{:,.0f}"),
                "CPU s per 1,000": _figure(values.get(CPU_SECONDS.name), "{:.3f}"),
                "CelebA epoch, h": _figure(values.get(f"{EPOCH_HOURS.name} celeba"), "{:.3g}"),
                "LSUN epoch, h": _figure(values.get(f"{EPOCH_HOURS.name} lsun"), "{:.3g}"),
                "the disk seeks / moves bytes": _busy(values),
                "training is bound by": _bound(rate, workers, _computing(records, rate.reference)),
            }
        )
    for documented in _documented(cards) if rows else []:
        disk = str(documented["storage"]).rpartition("+")[2].strip().lower()
        below = [place for place, row in enumerate(rows) if row["storage"] == disk]
        rows.insert(below[-1] + 1 if below else len(rows), documented)
    return pd.DataFrame(rows)


def loading_options_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """What prefetching, persistent workers and page-locked memory are worth."""
    groups: dict[tuple[str, str], dict[str, Record]] = {}
    for r in _of(records):
        if OPTION in r.protocol:
            groups.setdefault((r.protocol[OPTION], r.protocol[OPTION_VALUE]), {})[r.metric] = r
    return pd.DataFrame(
        [
            {
                "option": option.replace("_", " "),
                "value": value,
                "images/s": _figure(values.get(OPTION_RATE.name), "{:,.0f}"),
                "first batch of the next epoch, ms": _figure(values.get(OPTION_NEXT_EPOCH.name), "{:,.1f}"),
                "measured on": next(iter(values.values())).device,
            }
            for (option, value), values in groups.items()
        ]
    )


def same_pictures_table(records: Sequence[Record], _: Cards) -> pd.DataFrame:
    """Whether each format gives the values of the documents' pipeline, in the same order."""
    return pd.DataFrame(
        [
            {
                "format": r.protocol[FORMAT],
                "workers": r.protocol[WORKERS],
                "shuffled": f"{r.protocol[WINDOW]} at a time" if r.protocol[WINDOW] != "0" else "all at once",
                "values and order as documented": "yes" if r.value else "NO",
                "of so many pictures": r.n,
                "all values": r.reason,
            }
            for r in _of(records)
            if r.metric == SAME_PICTURES.name
        ]
    )


def loading_rates(records: Sequence[Record]) -> tuple[dict[str, dict[str, float]], float | None]:
    """Pictures a second by storage and format, with the most workers; and how many a step can use, if known."""
    groups = _cells(records)
    most = max((int(key[3]) for key in groups), default=0)
    rates: dict[str, dict[str, float]] = {}
    for (storage, cache, form, workers), values in groups.items():
        found = values[IMAGES_PER_SECOND.name]
        if int(workers) == most and found.value is not None:
            rates.setdefault(f"{storage}, {cache}, {found.status}, {workers} workers", {})[form] = found.value
    reference = next((values[IMAGES_PER_SECOND.name].reference for values in groups.values()), "")
    computing = _computing(records, reference)
    return rates, None if computing is None else computing.value


def loading_note(records: Sequence[Record], cards: Cards) -> str:
    """What a reader must know of the loading table, in figures of this very report."""
    lines = [
        "*Cold*: the page cache was emptied of these files (posix_fadvise, verified by mincore); names and sizes stay "
        "known to the kernel. *Warm*: nothing is read from any disk. *Simulated* disks are profiles with a bandwidth, "
        "a time for each read that doesn't follow the one before, and one head for all workers; they are no disks. "
        "Epochs are extrapolated from these pictures to 202,599 and 3,033,042, loading alone."
    ]
    groups = _cells(records)
    most = str(max((int(key[3]) for key in groups), default=0))
    for storage in dict.fromkeys(key[0] for key in groups):
        parts = []
        for form in (_AS_DOCUMENTED, _PACKED):
            cell = groups.get((storage, "cold", form, most), {})
            if cell and cell[IMAGES_PER_SECOND.name].status == "simulated":
                seeking, moving = (_value(cell.get(name)) for name in (DISK_SEEKING.name, DISK_MOVING.name))
                parts.append(
                    f"`{form}` gets {_value(cell[IMAGES_PER_SECOND.name]):,.0f} pictures a second: the head seeks for "
                    f"{seeking:.0%} of the time and reads for {moving:.0%}"
                )
        if parts:
            lines.append(f"On `{storage}`, simulated, with {most} workers, {'; '.join(parts)}.")
    slow, fast = (groups.get((disk, "cold", _AS_DOCUMENTED, most)) for disk in ("hdd", "ssd"))
    documented = ", ".join(
        f"{row['CelebA epoch, h']} h on {row['storage']}" for row in _documented(cards) if "CelebA epoch, h" in row
    )
    hours = [_value(cell.get(f"{EPOCH_HOURS.name} celeba")) for cell in (slow, fast) if cell]
    if len(hours) == 2 and documented and not any(math.isnan(one) for one in hours):
        lines.append(
            f"An epoch of CelebA read as documented takes {hours[0]:.3g} h from `hdd` and {hours[1]:.3g} h from `ssd`, "
            f"{hours[0] / hours[1]:.0f} times less. The document reports {documented}, which hold the steps of two "
            "different cards as well. A file for each picture costs a seek for each; a pack costs bandwidth alone."
        )
    return "\n\n".join(lines)


def _of(records: Sequence[Record]) -> list[Record]:
    return [r for r in records if r.suite == "loading"]


def _cells(records: Sequence[Record]) -> dict[_Key, dict[str, Record]]:
    groups: dict[_Key, dict[str, Record]] = {}
    for r in _of(records):
        if STORAGE in r.protocol and FORMAT in r.protocol:
            key = (r.protocol[STORAGE], r.protocol[CACHE], r.protocol[FORMAT], r.protocol[WORKERS])
            groups.setdefault(key, {})[" ".join(filter(None, (r.metric, r.protocol.get(DATA_SET))))] = r
    return {key: values for key, values in groups.items() if IMAGES_PER_SECOND.name in values}


def _computing(records: Sequence[Record], reference: str) -> Record | None:
    """How many pictures a second a reference's steps use, else those of another of the same pictures."""
    found = [r for r in _of(records) if r.metric == COMPUTING_RATE.name and r.value]
    return next((r for r in found if r.reference == reference), found[0] if found else None)


def _documented(cards: Cards) -> list[dict[str, object]]:
    """Hours an epoch that the cards state with a disk's name."""
    hours: dict[str, dict[str, float]] = {}
    for _, card in cards:
        name = _SETS.get(card.dataset.partition("-")[0])
        for duration in card.durations:
            if duration.epochs == 1 and name and any(disk in duration.hardware for disk in ("HDD", "SSD")):
                hours.setdefault(duration.hardware, {})[name] = duration.minutes / 60
    return [
        {
            "storage": hardware,
            "status": "documented",
            **{f"{name} epoch, h": f"{one:.3g}" for name, one in known.items()},
        }
        for hardware, known in hours.items()
    ]


def _figure(record: Record | None, form: str) -> str:
    if record is None:
        return ""
    return record.reason if record.value is None else form.format(record.value)


def _ratio(rate: Record, baseline: Record | None) -> str:
    if rate.value is None or baseline is None or not baseline.value:
        return ""
    return f"{rate.value / baseline.value:,.1f}"


def _busy(values: Mapping[str, Record]) -> str:
    if DISK_SEEKING.name not in values:
        return ""
    return " / ".join(f"{_value(values.get(name)):.0%}" for name in (DISK_SEEKING.name, DISK_MOVING.name))


def _bound(rate: Record, workers: str, computing: Record | None) -> str:
    if rate.value is None or computing is None or not computing.value:
        return ""
    slower = "loading" if rate.value < computing.value else "computing"
    # Without workers nothing overlaps: each waits for the other.
    return f"both in turn, more by {slower}" if workers == "0" else slower


def _value(record: Record | None) -> float:
    return record.value if record is not None and record.value is not None else float("nan")


LOADING_TABLES = (
    Table(
        "loading",
        "Loading: which disk, which format, how many workers",
        ("storage", "status", "cache", "format"),
        loading_table,
        loading_note,
    ),
    Table(
        "loading_options",
        "Loading: prefetching, persistent workers, page-locked memory",
        ("option", "value"),
        loading_options_table,
        suites=("loading",),
    ),
    Table(
        "same_pictures",
        "Loading: the same values in the same order",
        ("format", "workers"),
        same_pictures_table,
        suites=("loading",),
    ),
)
