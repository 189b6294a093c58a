"""Tables, note and plot of loading, from records made by hand: every figure in them is one of these."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

import reference
from harness.records.record import Record, append_record
from harness.records.report_folder import Asked, foreign_files, set_aside, write_session
from harness.reporting.loading_tables import (
    LOADING_TABLES,
    loading_note,
    loading_options_table,
    loading_rates,
    loading_table,
    same_pictures_table,
)
from harness.reporting.pages import write_report
from harness.reporting.plots import save_loading
from harness.reporting.tables import TABLE_NAMES
from tests.records.test_record import record

CELEBA, LSUN = "handson-dcgan-celeba", "handson-dcgan-lsun"
CARDS = [(name, reference.get(name).card) for name in (CELEBA, LSUN)]
DOCUMENTED, FOLDER, PACKED = "folder, as documented", "folder", "packed"
HDD, SSD = "GTX 960 + HDD", "GTX 1080Ti + SSD"


def facts(storage: str, status: str, form: str, workers: int, **more: Any) -> dict[str, Any]:
    cache = "warm" if storage == "page cache" else "cold"
    protocol = {"storage": storage, "format": form, "workers": str(workers), "cache": cache, "side": "64"}
    return {"suite": "loading", "reference": CELEBA, "status": status, "protocol": protocol} | more


def cell(
    storage: str, status: str, form: str, rate: float, workers: int = 4, busy: tuple[float, float] | None = None
) -> list[Record]:
    """All records of a cell; on a simulated disk with its shares of seeking and moving bytes."""
    values = {
        "images_per_second": rate,
        "read_mb_per_second": rate / 100,
        "first_batch_ms": 1e5 / rate,
        "cpu_s_per_1000_images": 0.25,
    }
    if busy is not None:
        values |= {"disk_seeking_share": busy[0], "disk_moving_share": busy[1]}
    given = facts(storage, status, form, workers)
    hours = [
        record(
            metric="epoch_hours",
            value=n / rate / 3600,
            **(given | {"protocol": given["protocol"] | {"data set": name}}),
        )
        for name, n in (("celeba", 202_599), ("lsun", 3_033_042))
    ]
    return [record(metric=metric, value=value, **given) for metric, value in values.items()] + hours


def skipped(storage: str, form: str, reason: str, workers: int = 4) -> Record:
    return record(metric="images_per_second", value=None, reason=reason, **facts(storage, "skipped", form, workers))


def computing(rate: float) -> Record:
    return record(
        suite="loading",
        metric="computing_images_per_second",
        value=rate,
        status="estimated",
        protocol={"storage": "none: computing"},
    )


SIMULATED = [
    *cell("hdd", "simulated", DOCUMENTED, 60, busy=(0.83, 0.07)),
    *cell("hdd", "simulated", FOLDER, 66, busy=(0.9, 0.1)),
    *cell("hdd", "simulated", PACKED, 400, busy=(0.02, 0.96)),
    *cell("ssd", "simulated", DOCUMENTED, 1200, busy=(0.1, 0.2)),
    *cell("ssd", "simulated", PACKED, 3600, busy=(0.01, 0.95)),
]
WARM = [*cell("page cache", "measured", DOCUMENTED, 1500), *cell("page cache", "measured", PACKED, 90_000)]


def row_of(table: pd.DataFrame, **wanted: str) -> dict[str, Any]:
    (row,) = [row for row in table.to_dict("records") if all(row[name] == value for name, value in wanted.items())]
    return {str(name): value for name, value in row.items()}


def test_without_records_there_are_no_tables_no_rates_and_nothing_of_other_suites_gets_in() -> None:
    others = [dataclasses.replace(r, suite="memory") for r in SIMULATED]
    for records in ([], others):
        for table in LOADING_TABLES:
            assert table.make(records, CARDS).empty
        assert loading_rates(records) == ({}, None)


def test_a_cell_is_a_row_with_its_values() -> None:
    row = row_of(loading_table(SIMULATED, CARDS), storage="hdd", format=PACKED)
    assert row["status"] == "simulated"
    assert (row["images/s"], row["MB/s read"], row["first batch, ms"]) == ("400", "4.0", "250")
    assert row["CPU s per 1,000"] == "0.250"
    assert row["CelebA epoch, h"] == f"{202_599 / 400 / 3600:.3g}"
    assert row["LSUN epoch, h"] == f"{3_033_042 / 400 / 3600:.3g}"
    assert row["the disk seeks / moves bytes"] == "2% / 96%"


def test_what_the_documents_report_stands_below_the_disk_that_it_names() -> None:
    table = loading_table(WARM + SIMULATED, CARDS)
    assert list(table["storage"]) == ["page cache"] * 2 + ["hdd"] * 3 + [HDD] + ["ssd"] * 2 + [SSD]
    for hardware, celeba, lsun in ((HDD, 120, 996), (SSD, 3.5, 53)):
        row = row_of(table, storage=hardware)
        assert row["status"] == "documented"
        assert (row["CelebA epoch, h"], row["LSUN epoch, h"]) == (f"{celeba / 60:.3g}", f"{lsun / 60:.3g}")
        assert pd.isna(row["images/s"])


def test_what_names_no_disk_that_was_read_stands_at_the_end_and_what_names_none_nowhere() -> None:
    table = loading_table(cell("ssd", "simulated", PACKED, 1) + WARM, CARDS)
    assert list(table["storage"]) == ["ssd", SSD, "page cache", "page cache", HDD]
    assert "GTX 1080Ti" not in set(table["storage"])


@pytest.mark.parametrize("name", ["d", "gtx", "1080"])
def test_another_disk_does_not_take_the_documents_rows(name: str) -> None:
    alone, beside = (
        list(loading_table(records, CARDS)["storage"])
        for records in (SIMULATED, SIMULATED + cell(name, "measured", PACKED, 10))
    )
    assert [one for one in beside if one != name] == alone
    assert beside.index(name) > beside.index(SSD)


def test_ratios_are_to_the_documented_pipeline_on_the_same_disk_with_as_many_workers() -> None:
    more = [*cell("hdd", "simulated", DOCUMENTED, 20, workers=0), *cell("hdd", "simulated", PACKED, 50, workers=0)]
    table = loading_table([*SIMULATED, *WARM, *more], CARDS)
    ratios = {
        (row["storage"], row["format"], row["workers"]): row["× as documented"]
        for row in table.to_dict("records")
        if row["status"] != "documented"
    }
    assert ratios == {
        ("hdd", DOCUMENTED, "4"): "1.0",
        ("hdd", FOLDER, "4"): "1.1",
        ("hdd", PACKED, "4"): "6.7",
        ("ssd", DOCUMENTED, "4"): "1.0",
        ("ssd", PACKED, "4"): "3.0",
        ("page cache", DOCUMENTED, "4"): "1.0",
        ("page cache", PACKED, "4"): "60.0",
        ("hdd", DOCUMENTED, "0"): "1.0",
        ("hdd", PACKED, "0"): "2.5",
    }
    alone = loading_table(cell("hdd", "simulated", PACKED, 400), CARDS)
    assert row_of(alone, storage="hdd")["× as documented"] == ""


def test_what_training_waits_for_is_the_slower_of_loading_and_computing() -> None:
    records = [*SIMULATED, *cell("hdd", "simulated", PACKED, 400, workers=0), computing(1000)]
    table = loading_table(records, CARDS)

    def bound(storage: str, form: str, workers: str = "4") -> object:
        return row_of(table, storage=storage, format=form, workers=workers)["training is bound by"]

    assert bound("hdd", PACKED) == bound("hdd", DOCUMENTED) == "loading"
    assert bound("ssd", DOCUMENTED) == bound("ssd", PACKED) == "computing"
    assert bound("hdd", PACKED, "0") == "both in turn, more by loading"
    assert set(loading_table(SIMULATED, [])["training is bound by"]) == {""}


def test_a_cell_without_a_value_shows_its_reason_and_no_figures() -> None:
    why = "the page cache still holds 3 of 3 pages"
    table = loading_table([skipped("shm", DOCUMENTED, why), *cell("shm", "measured", PACKED, 5), computing(3)], CARDS)
    row = row_of(table, storage="shm", format=DOCUMENTED)
    assert (row["status"], row["images/s"]) == ("skipped", why)
    assert {row[name] for name in ("× as documented", "MB/s read", "CelebA epoch, h", "training is bound by")} == {""}
    assert row_of(table, storage="shm", format=PACKED)["× as documented"] == ""


def test_simulated_and_measured_are_never_in_one_row() -> None:
    records = WARM + SIMULATED + cell("/mnt/old", "measured", PACKED, 7)
    table = loading_table(records, CARDS)
    status = {row["storage"]: row["status"] for row in table.to_dict("records")}
    assert status == {
        "page cache": "measured",
        "hdd": "simulated",
        "ssd": "simulated",
        "/mnt/old": "measured",
        HDD: "documented",
        SSD: "documented",
    }
    assert len(table) == 2 + 5 + 1 + 2
    rates, _ = loading_rates(records)
    assert all(("simulated" in name) == name.startswith(("hdd", "ssd")) for name in rates)


def test_the_plots_rates_are_those_with_the_most_workers() -> None:
    rates, limit = loading_rates([*SIMULATED, *cell("hdd", "simulated", PACKED, 1, workers=0), computing(77)])
    assert rates["hdd, cold, simulated, 4 workers"] == {DOCUMENTED: 60, FOLDER: 66, PACKED: 400}
    assert rates["ssd, cold, simulated, 4 workers"] == {DOCUMENTED: 1200, PACKED: 3600}
    assert (len(rates), limit) == (2, 77)
    assert loading_rates([skipped("shm", PACKED, "no")]) == ({}, None)


def test_options_and_same_pictures_have_tables_of_their_own() -> None:
    given = {"suite": "loading", "protocol": {"option": "pin_memory", "value": "True"}, "device": "a GPU"}
    records = [
        record(metric="option_images_per_second", value=1234.4, **given),
        record(metric="option_next_epoch_ms", value=0.26, **given),
        *(
            record(
                suite="loading",
                metric="same_pictures",
                value=value,
                n=128,
                reason="SHA-256 ab",
                protocol={"format": PACKED, "workers": "2", "window": window},
            )
            for value, window in ((1.0, "0"), (0.0, "256"))
        ),
    ]
    (option,) = loading_options_table(records, CARDS).to_dict("records")
    assert list(option.values()) == ["pin memory", "True", "1,234", "0.3", "a GPU"]
    first, second = same_pictures_table(records, CARDS).to_dict("records")
    assert (first["shuffled"], first["values and order as documented"]) == ("all at once", "yes")
    assert (second["shuffled"], second["values and order as documented"]) == ("256 at a time", "NO")
    assert loading_table(records, CARDS).empty


def test_the_notes_figures_are_those_of_the_records_and_cards() -> None:
    note = loading_note(SIMULATED + WARM, CARDS)
    hdd = (
        "On `hdd`, simulated, with 4 workers, `folder, as documented` gets 60 pictures a second: the head seeks for "
        "83% of the time and reads for 7%; `packed` gets 400 pictures a second: the head seeks for 2% of the time "
        "and reads for 96%."
    )
    assert hdd in note
    hdd, ssd = (f"{202_599 / rate / 3600:.3g}" for rate in (60, 1200))
    assert f"takes {hdd} h from `hdd` and {ssd} h from `ssd`, 20 times less" in note
    assert f"The document reports 2 h on {HDD}, {3.5 / 60:.3g} h on {SSD}" in note
    assert "page cache`" not in note


def test_a_card_without_such_hours_is_not_quoted_and_a_measured_disk_is_not_called_simulated() -> None:
    cards = [("mlp-gan-mnist", reference.get("mlp-gan-mnist").card)]
    assert "The document reports" not in loading_note(SIMULATED, cards)
    assert set(loading_table(SIMULATED, cards)["status"]) == {"simulated"}
    measured = cell("hdd", "measured", DOCUMENTED, 60) + cell("ssd", "measured", DOCUMENTED, 600)
    note = loading_note(measured, CARDS)
    assert "On `hdd`, simulated" not in note
    assert "10 times less" in note


@pytest.mark.parametrize("lacking", ["hdd", "ssd"])
def test_a_disk_that_could_not_be_measured_is_no_figure_in_the_note(lacking: str) -> None:
    other = "ssd" if lacking == "hdd" else "hdd"
    records = [skipped(lacking, DOCUMENTED, "still cached"), *cell(other, "measured", DOCUMENTED, 60)]
    assert "nan" not in loading_note(records, CARDS)


def test_the_report_has_a_table_a_page_and_a_plot_that_a_later_one_clears(tmp_path: Path) -> None:
    for entry in [*SIMULATED, *WARM, computing(900)]:
        append_record(tmp_path / "records.jsonl", entry)
    write_session(tmp_path, Asked(tuple(name for name, _ in CARDS)))
    written = {path.name for path in write_report(tmp_path, CARDS)}
    assert {"loading.csv", "loading.md", "report.md"} <= written
    assert {"loading_options.csv", "same_pictures.csv"}.isdisjoint(written)
    page = (tmp_path / "loading.md").read_text()
    assert loading_note([*SIMULATED, *WARM], CARDS) in page
    assert "nan" not in page
    assert "by disk and format](plots/loading.png)" in (tmp_path / "report.md").read_text()
    with Image.open(tmp_path / "plots" / "loading.png") as plot:
        plot.load()
    assert foreign_files(tmp_path, TABLE_NAMES) == []
    names = {file.name for file in tmp_path.iterdir()}
    kept = set_aside(tmp_path)
    assert kept is not None
    assert (kept.name, {file.name for file in kept.iterdir()}) == (f"{tmp_path.name}.1", names)
    assert list(tmp_path.iterdir()) == []
    assert set_aside(tmp_path) is None, "there is nothing to keep"


def test_one_rate_or_many_can_be_drawn(tmp_path: Path) -> None:
    heights = []
    for n in (1, 6):
        rates = {f"disk {i}, cold, measured, 4 workers": {PACKED: 10.0**i, FOLDER: 2.0} for i in range(1, n + 1)}
        save_loading(tmp_path / f"{n}.png", rates, None if n == 1 else 50.0)
        with Image.open(tmp_path / f"{n}.png") as plot:
            heights.append(plot.size[1])
    assert heights[0] < heights[1]
