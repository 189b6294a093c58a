"""Tables of memory and time from hand-made records: nothing estimated passes for measured, nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.records.record import Record
from harness.reporting.memory_tables import (
    MEMORY_TABLES,
    Row,
    fitted,
    memory_fit_table,
    memory_note,
    memory_rows,
    memory_table,
    times_per_image,
)
from harness.reporting.plots import save_batch_sizes, save_curve
from harness.reporting.scorecard import ClaimResult, decide_claim
from harness.reporting.speed_tables import SPEED_TABLES
from reference import Claim, get
from tests.records.test_record import record

MNIST, CELEBA = "handson-dcgan-mnist", "handson-dcgan-celeba"
CARDS = [(MNIST, get(MNIST).card)]
SIZES = (128, 256, 512, 1024, 2048)
AS_DOCUMENTED = "as documented (cudnn.benchmark)"
GPU = {"device": "H200", "protocol": {"computed on": "cuda", "numerics": AS_DOCUMENTED}}
DETERMINISTIC = {"device": "H200", "protocol": {"computed on": "cuda", "numerics": "deterministic"}}
CPU = {"device": "a CPU", "protocol": {"computed on": "cpu", "numerics": "deterministic"}}
ESTIMATED = {"device": "any CUDA device", "status": "estimated", "protocol": {"computed on": "cuda"}}
DRIVER, RESERVED, ALLOCATED, RESIDENT = "driver_mib", "peak_reserved_mib", "peak_allocated_mib", "peak_rss_mib"
MADE = {table.name: table for table in (*MEMORY_TABLES, *SPEED_TABLES)}
TITLES = {
    DRIVER: "the driver's figure",
    RESERVED: "reserved by PyTorch's allocator",
    ALLOCATED: "allocated: tensors and workspaces",
    RESIDENT: "resident in RAM",
}


def taken(metric: str, values: dict[int, float], facts: dict[str, Any], **changes: Any) -> list[Record]:
    """A record of each batch size."""
    given = {"suite": "memory", "reference": MNIST, "metric": metric, "unit": "MiB"} | facts | changes
    return [record(value=value, batch_size=size, **given) for size, value in values.items()]


def missing(metric: str, size: int, reason: str, facts: dict[str, Any], status: str = "skipped") -> Record:
    (found,) = taken(metric, {size: 0}, facts | {"status": status, "reason": reason})
    return Record(**(vars(found) | {"value": None}))


def cells(table: pd.DataFrame, sizes: Sequence[int] = SIZES, **wanted: str) -> list[str]:
    """The one row in which everything wanted stands, by batch size."""
    mine = [row for row in table.to_dict("records") if all(row[name] == value for name, value in wanted.items())]
    (row,) = mine
    return [str(row[str(size)]) for size in sizes]


ON_CPU = taken(RESIDENT, {128: 411, 256: 422}, CPU)
LINES = taken(ALLOCATED, {n: 100 + 1.5 * n for n in SIZES}, ESTIMATED) + taken(
    RESERVED, {n: 110 + 2.25 * n for n in SIZES}, ESTIMATED
)


def test_documented_measured_and_estimated_are_rows_of_their_own() -> None:
    records = taken(DRIVER, {128: 1000, 2048: 7000}, GPU) + taken(RESERVED, {128: 600}, GPU) + ON_CPU + LINES
    table = memory_table(records, CARDS)
    rows = [
        ("the driver's figure", "documented", "the document"),
        ("the driver's figure", "measured", f"H200, {AS_DOCUMENTED}"),
        ("reserved by PyTorch's allocator", "measured", f"H200, {AS_DOCUMENTED}"),
        ("resident in RAM", "measured", "a CPU"),
        ("reserved by PyTorch's allocator", "estimated", "any CUDA device"),
        ("allocated: tensors and workspaces", "estimated", "any CUDA device"),
    ]
    assert list(zip(table["MiB"], table["status"], table["source"], strict=True)) == rows
    assert cells(table, status="documented") == ["939", "1283", "1969", "3305", "6011"]
    assert cells(table, status="measured", MiB=TITLES[DRIVER]) == ["1000", "", "", "", "7000"]
    assert cells(table, status="measured", MiB=TITLES[RESIDENT]) == ["411", "422", "", "", ""]
    assert cells(table, status="estimated", MiB=TITLES[ALLOCATED]) == ["292", "484", "868", "1636", "3172"]


@pytest.mark.parametrize("records", [ON_CPU, LINES, ON_CPU + LINES])
def test_without_a_gpu_its_row_is_not_measured_yet(records: list[Record]) -> None:
    table = memory_table(records, CARDS)
    assert cells(table, status="measured", source="a GPU") == ["not measured yet"] * 5


def test_the_two_ways_of_computing_on_a_gpu_are_two_rows() -> None:
    table = memory_table(taken(DRIVER, {128: 1000}, GPU) + taken(DRIVER, {128: 900}, DETERMINISTIC), CARDS)
    assert cells(table, [128], source=f"H200, {AS_DOCUMENTED}") == ["1000"]
    assert cells(table, [128], source="H200, deterministic") == ["900"]
    assert "not measured yet" not in table.to_string()


@pytest.mark.parametrize("status", ["skipped", "failed"])
@pytest.mark.parametrize(("metric", "facts"), [(ALLOCATED, GPU), (RESIDENT, CPU)])
def test_what_ran_out_of_memory_says_so_in_its_cell(metric: str, facts: dict[str, Any], status: str) -> None:
    records = [*taken(metric, {128: 700}, facts), missing(metric, 2048, "out of memory", facts, status), *LINES]
    table = memory_table(records, CARDS)
    assert cells(table, status="measured", MiB=TITLES[metric]) == ["700", "", "", "", "out of memory"]
    assert "out of memory" not in cells(table, status="estimated", MiB=TITLES[ALLOCATED])


def test_without_nvml_the_drivers_row_says_why_and_the_others_have_numbers() -> None:
    why = "NVML isn't there"
    records = [missing(DRIVER, 128, why, GPU), missing("context_mib", 128, why, GPU)]
    records += taken(RESERVED, {128: 600}, GPU) + taken(ALLOCATED, {128: 500}, GPU)
    table = memory_table(records, CARDS)
    found = {
        metric: cells(table, [128], status="measured", MiB=title)
        for metric, title in TITLES.items()
        if metric != RESIDENT
    }
    assert found == {DRIVER: [why], RESERVED: ["600"], ALLOCATED: ["500"]}
    assert cells(table, [128], MiB="context and libraries") == [why]


KINDS = [
    (DRIVER, GPU),
    (RESERVED, GPU),
    (ALLOCATED, GPU),
    (ALLOCATED, DETERMINISTIC),
    (RESIDENT, CPU),
    (ALLOCATED, ESTIMATED),
    (RESERVED, ESTIMATED),
]


@given(st.sets(st.tuples(st.integers(0, len(KINDS) - 1), st.sampled_from(SIZES)), min_size=1))
def test_every_value_stands_once_in_the_row_of_its_own_origin(chosen: set[tuple[int, int]]) -> None:
    records = [
        r
        for number, (kind, size) in enumerate(sorted(chosen))
        for r in taken(KINDS[kind][0], {size: 10_000.0 + number}, KINDS[kind][1])
    ]
    rows = [row for row in memory_rows(records, CARDS) if row.status != "documented"]
    stand = sorted(
        (row.figure, row.status, row.source.split(", ")[0], size, value)
        for row in rows
        for size, value in row.numbers.items()
    )
    assert stand == sorted((TITLES[r.metric], r.status, r.device, r.batch_size, r.value) for r in records)


def test_other_suites_references_and_nothing_at_all_are_no_rows() -> None:
    strange = [record(suite="quality", batch_size=128), record(suite="modes", metric=DRIVER, batch_size=128)]
    strange += taken(DRIVER, {128: 1.0}, GPU, suite="quality") + taken(DRIVER, {128: 1.0}, GPU, reference="toy-grid")
    for records in ([], strange):
        assert memory_rows(records, CARDS) == []
        assert {table.name for table in MADE.values() if not table.make(records, CARDS).empty} == set()
        assert times_per_image(records, CARDS) == {}
        assert "\n\n" not in memory_note(records, CARDS)
    with_strange = memory_table(LINES + strange, CARDS)
    assert with_strange.equals(memory_table(LINES, CARDS))


def row(values: dict[int, float | str]) -> Row:
    return Row(MNIST, TITLES[DRIVER], "documented", "the document", values)


@given(
    st.lists(st.integers(1, 4096), min_size=3, max_size=8, unique=True),
    st.integers(-400, 400),
    st.integers(-10_000, 10_000),
)
def test_points_on_a_line_give_it_back_and_leave_nothing(sizes: list[int], slope: int, intercept: int) -> None:
    line = fitted(row({size: slope / 8 * size + intercept for size in sizes}))
    assert line is not None
    assert line.slope == pytest.approx(slope / 8, abs=1e-6)
    assert line.intercept == pytest.approx(intercept, abs=1e-4)
    assert list(line.residuals) == sorted(sizes)
    assert list(line.residuals.values()) == pytest.approx([0] * len(sizes), abs=1e-4)


def test_what_a_line_leaves_is_what_lies_above_it() -> None:
    line = fitted(row({1: 0.0, 2: 3.0, 3: 0.0}))
    assert line is not None
    assert (line.slope, line.intercept) == pytest.approx((0, 1))
    assert line.residuals == pytest.approx({1: -1, 2: 2, 3: -1})


@pytest.mark.parametrize("values", [{}, {1: 2.0, 2: 3.0}, {1: 2.0, 2: 3.0, 4: "out of memory"}])
def test_fewer_than_three_numbers_have_no_line(values: dict[int, float | str]) -> None:
    assert fitted(row(values)) is None


def test_the_book_takes_2_64_mb_per_image() -> None:
    table = memory_fit_table(LINES, CARDS)
    slopes = {(line["MiB"], line["status"]): line["MiB per image"] for line in table.to_dict("records")}
    assert round(float(slopes[TITLES[DRIVER], "documented"]), 2) == 2.64
    assert slopes[TITLES[ALLOCATED], "estimated"] == "1.500"
    assert len(slopes) == 3, "what is not measured yet has no line"


def test_the_note_names_the_three_slopes_and_what_each_step_between_them_explains() -> None:
    note = memory_note(LINES, CARDS)
    assert "grow by 2.64 MiB per image" in note
    assert "Tensors alone take 1.50;" in note
    assert "grows by 2.25." in note
    assert "Of the document's 1.14 beyond the tensors, caching explains 0.75; +0.39 is left for workspaces." in note
    assert "Other processes" not in note
    assert "grow by" not in memory_note(ON_CPU, CARDS), "nothing is estimated there"


def test_the_note_names_other_processes_on_the_card() -> None:
    alone = taken("other_processes", {128: 0.0}, GPU)
    shared = taken("other_processes", {256: 2.0}, GPU, reason="Xorg (1), ollama (2)")
    assert "Other processes" not in memory_note(alone, CARDS)
    assert "held memory on the card meanwhile: Xorg (1), ollama (2)." in memory_note(alone + shared, CARDS)


def only(name: str, records: Sequence[Record]) -> dict[str, Any]:
    (found,) = MADE[name].make(records, CARDS).to_dict("records")
    return {str(column): value for column, value in found.items()}


def test_a_footprint_is_split_by_kind_and_held_against_what_was_measured() -> None:
    parts = [
        r
        for part, size in (("weights", 30.0), ("activations", 70.25))
        for r in taken("peak_part_mib", {128: size}, ESTIMATED, protocol={"computed on": "cuda", "part": part})
    ]
    peak = taken(ALLOCATED, {128: 100.25}, ESTIMATED, reason="generator.3, conv") + parts
    shown = only("footprint", peak)
    assert (shown["weights"], shown["activations"], shown["gradients"]) == ("30.0", "70.2", "0.0")
    assert shown["allocated, estimated (MiB)"] == "100.2"
    assert shown["reserved, estimated (MiB)"] == ""
    assert shown["the peak is at"] == "generator.3, conv"
    assert shown["allocated, measured / estimated"] == "not measured yet"
    elsewhere = taken(ALLOCATED, {256: 1.0}, GPU) + taken(ALLOCATED, {128: 1.0}, GPU, reference="toy-grid")
    measured = taken(ALLOCATED, {128: 200.5}, GPU) + taken(RESERVED, {128: 150.0}, ESTIMATED)
    shown = only("footprint", peak + elsewhere + measured)
    assert shown["allocated, measured / estimated"] == f"2.000 ({AS_DOCUMENTED})"
    assert shown["reserved, estimated (MiB)"] == "150"


def test_the_estimator_stands_beside_the_profiler() -> None:
    estimated = taken("cpu_peak_tensors", {16: 1000.0}, ESTIMATED)
    alone = only("estimator", estimated)
    assert (alone["tensors, estimated (bytes)"], alone["tensors, profiled (bytes)"]) == ("1,000", "")
    assert alone["profiled / estimated"] == alone["with kernels' own workspaces"] == ""
    seen = taken("cpu_peak_tensors", {16: 1001.0}, CPU) + taken("cpu_peak_everything", {16: 1500.0}, CPU)
    shown = only("estimator", estimated + seen)
    assert (shown["profiled / estimated"], shown["with kernels' own workspaces"]) == ("1.0010", "1.5000")
    assert MADE["estimator"].make(seen, CARDS).empty


def test_leaks_are_shown_with_their_steps() -> None:
    how = {"steps": "50 and 200", "by": "every storage followed"}
    shown = only("leaks", taken("leaked_bytes", {16: 12_345.0}, CPU, protocol=how))
    assert shown["more bytes after the last"] == "12,345"
    assert shown["steps"] == "50 and 200"
    assert shown["measured on"] == "a CPU, every storage followed"
    assert only("leaks", taken("leaked_bytes", {16: 0.0}, CPU, protocol={}))["steps"] == ""
    assert MADE["leaks"].make([missing("leaked_bytes", 16, "why", CPU)], CARDS).empty


def timed(middle: float, facts: dict[str, Any], **changes: Any) -> list[Record]:
    values = {"step_ms_median": middle, "step_ms_q1": middle - 1, "step_ms_q3": middle + 1}
    return [r for metric, value in values.items() for r in taken(metric, {128: value}, facts, **changes)]


def test_the_price_of_determinism_is_its_time_over_that_as_documented() -> None:
    records = timed(30, DETERMINISTIC) + timed(20, GPU) + timed(400, CPU)
    prices = {
        line["numerics"] + " on " + line["measured on"]: line["time / time as documented"]
        for line in MADE["speed"].make(records, CARDS).to_dict("records")
    }
    assert prices == {"deterministic on H200": "1.50", f"{AS_DOCUMENTED} on H200": "", "deterministic on a CPU": ""}


def test_times_of_the_two_suites_are_two_rows_and_none_pays_for_the_other() -> None:
    table = MADE["speed"].make(timed(30, DETERMINISTIC) + timed(20, GPU, suite="speed"), CARDS)
    assert table["taken by"].tolist() == ["a process of its own", "pytest-benchmark"]
    assert table["time / time as documented"].tolist() == ["", ""]


def test_a_time_stands_with_what_follows_from_it_and_what_is_missing_is_empty() -> None:
    bare = only("speed", timed(20, CPU))
    assert bare["step, ms (quartiles)"] == "20 (19 to 21)"
    assert bare["documented run, minutes"] == "13 (GTX 1080Ti)"
    empty = ("images/s", "RAM or GPU peak, MiB", "its steps alone here, minutes", "time / time as documented")
    assert [bare[column] for column in empty] == [""] * 4
    more = taken("images_per_second", {128: 6400.0}, CPU) + taken("documented_run_minutes", {128: 1234.5}, CPU)
    shown = only("speed", timed(20, CPU) + more + ON_CPU)
    assert [shown[column] for column in empty] == ["6,400", "411", "1,234.5", ""]
    assert MADE["speed"].make(ON_CPU + more, CARDS).empty, "without a time there is no row"


def test_times_per_image_are_of_the_memory_tables_systems_only() -> None:
    records = timed(256, CPU) + timed(25.6, GPU) + timed(1, CPU, reference="toy-grid") + timed(1, CPU, suite="speed")
    assert times_per_image(records, CARDS) == {
        f"{MNIST}, a CPU": {128: 2.0},
        f"{MNIST}, H200, {AS_DOCUMENTED}": {128: pytest.approx(0.2)},
    }


def claimed(spec: str, identifier: str) -> Claim:
    (claim,) = [claim for claim in get(spec).card.claims if claim.identifier == identifier]
    return claim


def driver_at_128(spec: str, value: float, facts: dict[str, Any]) -> list[Record]:
    return taken("driver_mib", {128: value}, facts, reference=spec)


def test_a_claim_about_a_gpu_is_decided_on_one_and_nowhere_else() -> None:
    def judged(records: Sequence[Record]) -> ClaimResult:
        return decide_claim(MNIST, claimed(MNIST, "memory-128"), records)

    on_cpu = driver_at_128(MNIST, 900, CPU)
    assert judged(on_cpu).verdict == "not measured"
    assert judged(on_cpu).reason == "the claim is about a GPU, measured was on a CPU"
    assert judged(driver_at_128(MNIST, 900, {"device": "?", "protocol": {}})).verdict == "not measured"
    assert judged(driver_at_128(MNIST, 900, ESTIMATED)).verdict == "not measured"
    assert judged(driver_at_128(MNIST, 900, GPU)).verdict == "reproduced"
    assert judged(driver_at_128(MNIST, 1100, GPU)).verdict == "not reproduced"
    assert judged(driver_at_128(MNIST, 1100, CPU) + driver_at_128(MNIST, 900, GPU)).values == (900,)


@pytest.mark.parametrize(
    ("celeba", "mnist", "verdict", "said"),
    [
        ((1050, GPU), (1000, GPU), "reproduced", ""),
        ((1150, GPU), (1000, GPU), "not reproduced", ""),
        ((990, GPU), (1000, GPU), "not reproduced", ""),
        (
            (1050, GPU),
            (1000, CPU),
            "not measured",
            f"nothing to hold it against: no such driver_mib of {MNIST}",
        ),
        ((1050, CPU), (1000, GPU), "not measured", "about a GPU"),
    ],
)
def test_memory_above_another_systems_needs_both_on_a_gpu(
    celeba: tuple[float, dict[str, Any]], mnist: tuple[float, dict[str, Any]], verdict: str, said: str
) -> None:
    records = driver_at_128(CELEBA, *celeba) + driver_at_128(MNIST, *mnist)
    found = decide_claim(CELEBA, claimed(CELEBA, "memory-above-mnist"), records)
    assert found.verdict == verdict
    assert said in found.reason
    if not said:
        assert found.values == (celeba[0] / mnist[0],)


def opened(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert len(image.convert("L").getcolors() or range(256)) > 2, "something is drawn"
        return image.size


@pytest.mark.parametrize("records", [LINES, ON_CPU + LINES, ON_CPU + LINES + timed(256, CPU) + timed(20, GPU)])
def test_memory_and_time_over_batch_size_are_plotted(records: list[Record], tmp_path: Path) -> None:
    save_batch_sizes(tmp_path / "plots" / "memory.png", memory_rows(records, CARDS), times_per_image(records, CARDS))
    width, height = opened(tmp_path / "plots" / "memory.png")
    assert width > height > 100


def test_rows_of_words_alone_are_plotted_as_nothing(tmp_path: Path) -> None:
    save_batch_sizes(tmp_path / "memory.png", [row({128: "not measured yet"})], {})
    opened(tmp_path / "memory.png")


@pytest.mark.parametrize(
    "curves", [{"reserved, estimated": {1: 1.0, 2: 2.0}, "reserved, measured": {2: 2.5, 1: 1.5}}, {"none": {}}, {}]
)
def test_a_search_for_the_largest_batch_is_plotted(curves: dict[str, dict[int, float]], tmp_path: Path) -> None:
    save_curve(tmp_path / "curve.png", "toy-grid", curves)
    opened(tmp_path / "curve.png")
