"""From cells to records, and `gan-harness memory`: what is written, what is refused, what stays."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.data.mnist import Mnist
from harness.memory import record
from harness.memory.cublas import Workspaces
from harness.memory.estimate import estimate
from harness.memory.measure import Cell, Measured
from harness.memory.record import (
    NOT_YET,
    documented_batch_sizes,
    record_cell,
    record_epoch_ratio,
    record_estimate,
    record_not_yet,
    sizes_within_budget,
)
from harness.records.metrics import COMPUTED_ON
from harness.records.record import Record, read_records
from harness.reporting.recorder import Recorder
from harness.training.device import computed
from reference import get
from tests.cli.test_commands import run
from tests.comparison.test_compare import called
from tests.memory.conftest import DCGAN, MLP

TOYS = ("tests.memory.cell_toys",)
MIB = 2**20


def by_metric(recorder: Recorder) -> dict[str, Record]:
    """What is on disk but of the machine's state; each metric was written once."""
    found = read_records(recorder.report / "records.jsonl") if (recorder.report / "records.jsonl").exists() else []
    found = [r for r in found if "when" not in r.protocol and r.metric != "throttled"]
    assert len({r.metric for r in found}) == len(found)
    return {r.metric: r for r in found}


@given(
    st.lists(st.integers(1, 4096), min_size=1, unique=True).map(sorted),
    st.integers(1, 10**6),
    st.integers(1, 10**10),
)
def test_affordable_sizes_are_those_of_brute_force(sizes: list[int], per_sample: int, budget: int) -> None:
    powers = [2**k for k in range(12) if 2**k < sizes[0] and 2**k * per_sample <= budget]
    expected = [size for size in sizes if size * per_sample <= budget] or [max(powers, default=1)]
    assert sizes_within_budget(sizes, per_sample, budget) == expected


@given(st.lists(st.integers(1, 4096), min_size=1), st.just(0.0) | st.floats(1, 1e12), st.floats(0, 1e12))
def test_there_is_always_an_affordable_size(sizes: list[int], per_sample: float, budget: float) -> None:
    found = sizes_within_budget(sizes, per_sample, budget)
    assert found
    assert min(found) >= 1
    assert max(found) <= max(sizes)
    assert set(sizes_within_budget(sizes, per_sample, 2 * budget)) >= set(found) or len(found) == 1


@given(st.lists(st.integers(1, 4096), min_size=1))
def test_without_a_bound_or_a_cost_every_size_is_affordable(sizes: list[int]) -> None:
    assert sizes_within_budget(sizes, 1e12, None) == sizes
    assert sizes_within_budget(sizes, 0, 1.0) == sizes


def test_the_documents_sizes_are_those_of_its_table_else_its_own() -> None:
    assert documented_batch_sizes(get(DCGAN).card) == (128, 256, 512, 1024, 2048)
    assert documented_batch_sizes(get(MLP).card) == (100,)


def test_an_estimate_is_recorded_with_all_its_parts(recorder: Recorder, write: Any) -> None:
    found = record_estimate(write, MLP, get(MLP), 8)
    assert found == estimate(get(MLP), 8)
    records = read_records(recorder.report / "records.jsonl")
    assert {(r.status, r.batch_size, r.unit, r.device) for r in records} == {
        ("estimated", 8, "MiB", f"any CUDA device, torch {Workspaces.of().version}")
    }
    assert all(r.protocol["computed on"] == "cuda" for r in records)
    values = {r.metric: r.value for r in records if r.metric != "peak_part_mib"}
    assert values == {
        "peak_allocated_mib": found.peak_allocated / MIB,
        "peak_reserved_mib": found.peak_reserved / MIB,
        "tensors_mib": found.tensors / MIB,
    }
    parts = {r.protocol["part"]: r.value for r in records if r.metric == "peak_part_mib"}
    assert parts == {part: size / MIB for part, size in found.parts.items()}
    assert sum(value or 0 for value in parts.values()) == pytest.approx(values["peak_allocated_mib"])


UNITS = {
    "peak_rss_mib": ("MiB", "lower"),
    "step_ms_median": ("ms", "lower"),
    "step_ms_q1": ("ms", "none"),
    "step_ms_q3": ("ms", "none"),
    "images_per_second": ("1/s", "higher"),
}


def test_a_cell_on_the_cpu_is_recorded(recorder: Recorder, write: Any) -> None:
    found = record_cell(write, Cell(MLP, 8, "cpu", steps=5), get(MLP).card, None)
    records = by_metric(recorder)
    assert {name: (r.unit, r.better) for name, r in records.items()} == UNITS
    for name, r in records.items():
        assert (r.suite, r.reference, r.batch_size, r.status) == ("memory", MLP, 8, "measured")
        protocol = {"computed on": "cpu", **computed(torch.device("cpu"))}
        timed = name != "peak_rss_mib"
        assert r.protocol == (protocol | {"threads": str(found.threads)} if timed else protocol)
        assert r.threads == found.threads
        assert r.data == "drawn values in the card's shape"
    assert len(found.step_ms) == 5
    assert found.resident is not None
    values = {name: r.value for name, r in records.items()}
    assert values["peak_rss_mib"] == found.resident / MIB
    assert values["step_ms_median"] == median(found.step_ms)
    assert (values["step_ms_q1"], values["step_ms_q3"]) == found.quartiles_ms
    assert values["images_per_second"] == pytest.approx(8 / (median(found.step_ms) / 1000))
    assert "before the networks were made" in records["peak_rss_mib"].reason
    assert "5 steps" in records["step_ms_median"].reason


@pytest.mark.parametrize("real", [False, True])
def test_the_documented_run_is_counted_at_the_documents_batch(
    real: bool, recorder: Recorder, write: Any, mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = mnist_root if real else None
    if real:
        found_there = Mnist(mnist_root, (784,), (-1, 1)).fingerprint
        monkeypatch.setattr("harness.data.mnist._PUBLISHED", {"train": found_there.rpartition("-")[2]})
    found = record_cell(write, Cell(MLP, 100, "cpu", steps=3), get(MLP).card, root)
    records = by_metric(recorder)
    assert records.keys() == UNITS.keys() | {"documented_run_minutes"}
    run_minutes = records["documented_run_minutes"]
    assert run_minutes.unit == "min"
    assert run_minutes.value == pytest.approx(found.median_ms * 200 * 600 / 1000 / 60)
    assert run_minutes.real_data == real, "with a stand-in the claim isn't decided"
    assert run_minutes.protocol["computed on"] == "cpu"


def test_a_last_batch_that_is_not_full_is_a_step_of_the_run(recorder: Recorder, write: Any) -> None:
    card = dataclasses.replace(get(MLP).card, batch_size=7, epochs=3)
    found = record_cell(write, Cell(MLP, 7, "cpu", steps=2), card, None)
    assert by_metric(recorder)["documented_run_minutes"].value == pytest.approx(found.median_ms * 3 * 8572 / 60_000)
    whole = dataclasses.replace(card, drop_last=True)
    record_cell(partial(write, seed=1), Cell(MLP, 7, "cpu", steps=2), whole, None)
    last = {r.metric: r.value or 0 for r in recorder.records}
    assert last["documented_run_minutes"] == pytest.approx(last["step_ms_median"] * 3 * 8571 / 60_000)


@pytest.mark.parametrize(
    ("spec", "batch_size", "status", "reason"),
    [
        ("toy-ending@ends=card", 8, "skipped", "out of memory"),
        (MLP, 10**12, "skipped", "out of memory"),
        ("toy-ending@ends=kill", 8, "skipped", "out of memory: the system ended the process (SIGKILL)"),
        ("toy-ending@ends=broken", 8, "failed", "its step fails: toy-ending@ends=broken at batch 8 on cpu: KeyError"),
    ],
)
def test_a_cell_that_does_not_run_is_a_row_with_its_reason(
    spec: str, batch_size: int, status: str, reason: str, recorder: Recorder, write: Any
) -> None:
    cell = Cell(spec, batch_size, "cpu", steps=2, modules=TOYS)
    found = record_cell(write, cell, get(MLP).card, None)
    assert found.ended
    (row,) = by_metric(recorder).values()
    assert (row.metric, row.value, row.status, row.batch_size) == ("peak_rss_mib", None, status, batch_size)
    assert row.reason.startswith(reason)


def test_a_batch_that_the_reference_refuses_is_a_row_with_its_reason(recorder: Recorder, write: Any) -> None:
    record_cell(write, Cell(MLP, 0, "cpu"), get(MLP).card, None)
    (only,) = by_metric(recorder).values()
    assert (only.value, only.status) == (None, "failed")
    assert only.reason.endswith("a batch size must be 1 or more, not 0")


def test_every_figure_that_waits_for_a_gpu_says_so(recorder: Recorder, write: Any) -> None:
    record_not_yet(write, DCGAN, get(DCGAN).card)
    records = by_metric(recorder)
    assert records.keys() == {"driver_mib", "documented_run_minutes", "epoch_time_ratio"}
    assert {(r.value, r.status, r.reason) for r in records.values()} == {(None, "skipped", NOT_YET)}


def test_the_ratio_of_epochs_is_taken_when_both_sizes_ran(recorder: Recorder, write: Any) -> None:
    card = get(DCGAN).card
    small, large = Measured(step_ms=(9.0, 10.0, 30.0)), Measured(step_ms=(150.0, 100.0))
    ran = [(Cell(DCGAN, 128, "cpu"), small), (Cell(DCGAN, 512, "cpu"), small), (Cell(DCGAN, 2048, "cpu"), large)]
    record_epoch_ratio(write, DCGAN, card, ran)
    (row,) = by_metric(recorder).values()
    assert (row.metric, row.protocol["batches"]) == ("epoch_time_ratio", "2048 to 128")
    assert row.value == pytest.approx(125 * 30 / (10 * 469))  # 60,000 samples, the last batch not full
    assert row.protocol["computed on"] == "cpu"
    assert row.unit == "ratio"


def test_no_ratio_without_both_sizes(recorder: Recorder, write: Any) -> None:
    card, ran, ended = get(DCGAN).card, Measured(step_ms=(9.0,)), Measured(ended="out of memory")
    small, large = Cell(DCGAN, 128, "cpu"), Cell(DCGAN, 2048, "cpu")
    record_epoch_ratio(write, DCGAN, card, [])
    record_epoch_ratio(write, DCGAN, card, [(small, ran)])
    record_epoch_ratio(write, DCGAN, card, [(small, ran), (large, ended)])
    record_epoch_ratio(write, DCGAN, card, [(small, ended), (large, ran)])
    record_epoch_ratio(write, MLP, get(MLP).card, [(Cell(MLP, 100, "cpu"), ran)])
    record_epoch_ratio(write, DCGAN, dataclasses.replace(card, dataset="pairs"), [(small, ran), (large, ran)])
    assert by_metric(recorder) == {}


def test_tables_memory_writes_a_report_that_waits_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "memory"
    shown = run("memory", "--references", f"{MLP},{DCGAN}", "--device", "cpu", "--out", out).stdout
    names = {"memory", "footprint", "memory_fit", "scorecard"}
    assert {f"{name}.{kind}" for name in names for kind in ("md", "csv")} <= {p.name for p in out.iterdir()}
    assert set(shown.split()) == {str(p) for p in out.iterdir() if p.suffix in (".html", ".md", ".csv", ".tex")}
    with Image.open(out / "plots" / "memory.png") as image:
        assert image.format == "PNG"

    records = read_records(out / "records.jsonl")
    assert {r.status for r in records} == {"estimated", "skipped"}
    sizes = {(r.reference, r.batch_size) for r in records if r.status == "estimated"}
    assert sizes == {(MLP, 100), *((DCGAN, size) for size in (128, 256, 512, 1024, 2048))}

    table = pd.read_csv(out / "memory.csv", dtype=str)
    assert set(table["reference"]) == {DCGAN}, "only a document with such a table has rows"
    rows = {row["status"]: row for _, row in table.iterrows()}
    columns = ["128", "256", "512", "1024", "2048"]
    assert list(rows["documented"][columns]) == ["939", "1283", "1969", "3305", "6011"]
    assert list(rows["measured"][columns]) == ["not measured yet"] * 5
    reserved = {r.batch_size: r.value for r in records if (r.reference, r.metric) == (DCGAN, "peak_reserved_mib")}
    (estimated,) = (row for _, row in table.iterrows() if row["MiB"] == "reserved by PyTorch's allocator")
    assert list(estimated[columns]) == [f"{reserved[int(size)]:.0f}" for size in columns]
    assert "not measured yet" in (out / "memory.md").read_text()

    before = {p.name: p.read_bytes() for p in out.iterdir() if p.suffix in (".csv", ".md", ".jsonl", ".json")}
    assert called(monkeypatch, "tables", out) == 0
    capsys.readouterr()
    assert {name: (out / name).read_bytes() for name in before} == before


def test_tables_memory_takes_the_sizes_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "memory"
    arguments = ("--references", MLP, "--batch-sizes", "16,4,4", "--device", "cpu", "--out", out)
    assert called(monkeypatch, "memory", *arguments) == 0
    found = [r.batch_size for r in read_records(out / "records.jsonl") if r.metric == "peak_reserved_mib"]
    assert found == [4, 16]
    assert list(pd.read_csv(out / "footprint.csv")["batch size"]) == [4, 16]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--batch-sizes", "0"), "a batch size must be 1 or more, not 0"),
        (("--batch-sizes", "x"), "a batch size must be a whole number, not 'x'"),
        (("--batch-sizes", "64,,"), "a batch size must be a whole number, not ''"),
        (("--batch-sizes", "70000"), "a batch of 70000 is larger than the data set of mlp-gan-mnist: 60,000 samples"),
        (("--references", "mlp-gan-mnits"), "no reference matches 'mlp-gan-mnits'"),
        (("--device", "cuda:99"), "the device 'cuda:99' isn't there"),
        (("--data-root", "/no/where"), "the data root /no/where isn't a folder"),
        (("--reference-module", "no.module"), "'no.module' can't be imported"),
    ],
)
def test_mistakes_get_one_line_and_leave_an_earlier_report(
    arguments: tuple[str, ...],
    said: str,
    recorder: Recorder,
    write: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record_not_yet(write, DCGAN, get(DCGAN).card)
    before = (recorder.report / "records.jsonl").read_bytes()
    common = ("memory", "--references", MLP, "--device", "cpu", "--out", recorder.report)
    assert called(monkeypatch, *common, *arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("gan-harness: ")
    assert said in lines[0]
    assert (recorder.report / "records.jsonl").read_bytes() == before


def test_a_folder_that_holds_something_else_is_refused_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    thesis = tmp_path / "mine" / "thesis.tex"
    thesis.parent.mkdir()
    thesis.write_text("three years of work")
    arguments = ("--references", MLP, "--device", "cpu", "--out", thesis.parent)
    assert called(monkeypatch, "memory", *arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "holds 'thesis.tex', which no report has: nothing is deleted" in said
    assert thesis.read_text() == "three years of work"
    assert list(thesis.parent.iterdir()) == [thesis]


def test_where_the_documents_sizes_are_too_many_several_smaller_ones_can_be_had() -> None:
    assert sizes_within_budget([64, 128], 1.0, 40.0, 3) == [8, 16, 32]
    assert sizes_within_budget([64, 128], 1.0, 100.0, 3) == [64]
    assert sizes_within_budget([64, 128], 1.0, 2.0, 3) == [1, 2]


def test_only_the_documented_way_of_computing_says_how_long_the_documented_run_takes(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU there are two; on the CPU there is one."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    card = get(MLP).card
    found = Measured(step_ms=(10.0, 20.0, 30.0), peak_allocated=1, peak_reserved=1)
    for deterministic, expected in ((True, 0), (False, 1)):
        cell = Cell(MLP, card.batch_size, "cuda", deterministic)
        facts = {"batch_size": card.batch_size, "protocol": {COMPUTED_ON: "cuda", "numerics": str(deterministic)}}
        record._record_times(write, cell, card, None, found, facts)
        assert sum(r.metric == "documented_run_minutes" for r in recorder.records) == expected
