"""`pytest suites/test_memory.py suites/test_speed.py` as a user runs them, with pytest-benchmark's own options."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from harness.records.record import Record, read_records
from tests.suite.test_plugin import ROOT

pytestmark = pytest.mark.slow

# One process for all runs: starting one takes longer than they do. A path makes its saved times 10⁶ times smaller.
SEVERAL = """
import json, sys
from pathlib import Path
import pytest

for run in json.loads(sys.argv[1]):
    if isinstance(run, str):
        for path in Path(run).rglob("*.json"):
            saved = json.loads(path.read_text())
            for one in saved["benchmarks"]:
                one["stats"] = {name: v / 1e6 if isinstance(v, float) else v for name, v in one["stats"].items()}
            path.write_text(json.dumps(saved))
        continue
    code = pytest.main(["-q", "-p", "no:cacheprovider", *run])
    print(f"\\nended with {int(code)}", flush=True)
"""
MEMORY, SPEED = "suites/test_memory.py", "suites/test_speed.py"
TABLED = (SPEED, "--references", "toy-tabled")


@dataclass(frozen=True)
class Ran:
    """What the runs left in `folder`, what each showed, its exit code, and the exit code of the process."""

    folder: Path
    shown: tuple[str, ...]
    codes: tuple[str, ...]
    last: str
    code: int

    def records(self, name: str) -> list[Record]:
        return read_records(self.folder / name / "records.jsonl")

    def table(self, name: str, table: str) -> list[dict[str, str]]:
        with (self.folder / name / f"{table}.csv").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("suites")
    kept = f"--benchmark-storage=file://{folder / 'kept'}"
    compared = (*TABLED, kept, "--benchmark-compare")
    runs = {
        "green": (MEMORY, SPEED, "--references", "toy-tabled", "--benchmark-json", str(folder / "speed.json")),
        "others": (MEMORY, "--references", "toy-leaky,toy-reading"),
        "disabled": (*TABLED, "--benchmark-disable"),
        "saved": (*TABLED, kept, "--benchmark-autosave"),
        "compared": (*compared, "--benchmark-compare-fail=median:100000%"),
        "slower": (*compared, "--benchmark-compare-fail=median:100000%"),
    }
    asked: list[object] = [
        [*run, "--reference-module", "tests.memory_toys", "--device", "cpu", "--report-dir", str(folder / name)]
        for name, run in runs.items()
    ]
    asked.insert(-1, str(folder / "kept"))
    # Under pytest-xdist, whose variables a process inherits, pytest-benchmark switches itself off.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(asked)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=own,
        timeout=300,
    )
    *parts, last = re.split(r"ended with (\d)\n", done.stdout)
    assert len(parts) == 10, done.stdout + done.stderr
    return Ran(folder, tuple(parts[::2]), tuple(parts[1::2]), last + done.stderr, done.returncode)


def test_a_toy_passes_and_leaves_records_tables_and_a_plot(ran: Ran) -> None:
    assert ran.codes[0] == "0", ran.shown[0]
    for table in ("memory", "memory_fit", "footprint", "estimator", "leaks", "speed"):
        assert ran.table("green", table), table
    with Image.open(ran.folder / "green" / "plots" / "memory.png") as plot:
        plot.load()
    assert {r.suite for r in ran.records("green") if r.status == "measured"} == {"memory", "speed"}


def test_without_a_gpu_the_documents_figures_wait_to_be_measured(ran: Ran) -> None:
    rows = {(row["MiB"], row["status"]): row for row in ran.table("green", "memory")}
    sizes = ("64", "128", "256")
    assert [rows["the driver's figure", "documented"][size] for size in sizes] == ["564", "628", "756"]
    assert {rows["the driver's figure", "measured"][size] for size in sizes} == {"not measured yet"}
    for row in (("resident in RAM", "measured"), ("allocated: tensors and workspaces", "estimated")):
        assert all(float(rows[row][size]) > 0 for size in sizes)
    reasons = {r.metric: r.reason for r in ran.records("green") if r.status == "skipped"}
    assert reasons == {"driver_mib": "not measured yet: there is no GPU here"}


def test_a_step_is_timed_by_both_suites_and_the_estimator_agrees_with_the_profiler(ran: Ran) -> None:
    taken = {(row["batch"], row["taken by"]) for row in ran.table("green", "speed")}
    alone = "a process of its own"
    assert taken == {("64", "pytest-benchmark"), ("64", alone), ("128", alone), ("256", alone)}
    (row,) = ran.table("green", "estimator")
    assert abs(float(row["profiled / estimated"]) - 1) <= 0.02


def test_a_step_that_keeps_its_losses_fails_the_leak_check_and_no_other(ran: Ran) -> None:
    assert ran.codes[1] == "1", ran.shown[1]
    failed = [(r.metric, r.reference) for r in ran.records("others") if r.status == "failed"]
    assert failed == [("test_leak", "toy-leaky")], [r.reason for r in ran.records("others") if r.status == "failed"]
    held = {row["reference"]: row["more bytes after the last"] for row in ran.table("others", "leaks")}
    assert int(held["toy-leaky"]) > 0
    assert held["toy-reading"] == "0"


def test_a_step_that_reads_values_is_measured_but_not_estimated(ran: Ran) -> None:
    mine = [r for r in ran.records("others") if r.reference == "toy-reading"]
    assert {r.metric for r in mine if r.status == "skipped"} == {"test_estimate", "test_estimator"}
    assert not [r for r in mine if r.status == "estimated"]
    assert "peak_rss_mib" in {r.metric for r in mine if r.status == "measured"}


def test_the_benchmarks_file_has_one_entry_that_names_its_batch(ran: Ran) -> None:
    (entry,) = json.loads((ran.folder / "speed.json").read_text())["benchmarks"]
    assert entry["name"] == "test_step[toy-tabled-deterministic]"
    assert entry["extra_info"] == {"batch_size": 64, "device": "cpu", "numerics": "deterministic"}
    seconds = entry["stats"]["median"]
    (shown,) = [r.value for r in ran.records("green") if (r.suite, r.metric) == ("speed", "step_ms_median")]
    assert shown == pytest.approx(1000 * seconds)


def test_switched_off_benchmarks_are_skipped_with_a_reason(ran: Ran) -> None:
    assert ran.codes[2] == "0", ran.shown[2]
    (only,) = ran.records("disabled")
    assert (only.metric, only.status) == ("test_step", "skipped")
    assert only.reason == "pytest-benchmark is switched off here"


def test_a_saved_run_is_compared_with(ran: Ran) -> None:
    assert ran.codes[3:] == ("0", "0")
    assert len(list((ran.folder / "kept").rglob("*.json"))) == 1
    assert "test_step[toy-tabled-deterministic] (NOW)" in ran.shown[4]
    assert "test_step[toy-tabled-deterministic] (0001_" in ran.shown[4]


def test_a_step_that_got_slower_than_allowed_fails_and_is_still_reported(ran: Ran) -> None:
    assert ran.code != 0
    assert "Performance has regressed" in ran.last
    assert [row["taken by"] for row in ran.table("slower", "speed")] == ["pytest-benchmark"]
