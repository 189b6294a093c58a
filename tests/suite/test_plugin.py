"""`pytest suites/` as a user runs it, in processes of its own."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.files.writing import held
from harness.records.record import Record, read_records
from tests.processes import call

ROOT = Path(__file__).parents[2]


def suites(report: Path, *arguments: str, code: int = 0) -> str:
    asked = ["suites", "-q", "-p", "no:cacheprovider", "--report-dir", str(report), *arguments]
    done = call(asked, ROOT, timeout=600, program="pytest")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


TOY = ("--reference-module", "tests.toys", "--references", "toy-grid")


def row_of(report: Path, table: str, **wanted: str) -> dict[str, str]:
    with (report / f"{table}.csv").open(encoding="utf-8") as stream:
        (row,) = [r for r in csv.DictReader(stream) if all(r[k] == v for k, v in wanted.items())]
    return row


@pytest.fixture(scope="module")
def toy_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    report = tmp_path_factory.mktemp("toy") / "report"
    return report, suites(report, *TOY, "--seeds", "2")


def test_every_suite_runs_on_a_strangers_reference(toy_report: tuple[Path, str]) -> None:
    report, shown = toy_report
    assert "everything on one page" in shown
    for name in ("determinism", "shapes", "modes", "training", "left_out"):
        assert (report / f"{name}.csv").stat().st_size > 0
        assert (report / f"{name}.md").stat().st_size > 0
    assert (report / "plots" / "modes.png").stat().st_size > 1000
    row = row_of(report, "determinism", reference="toy-grid")
    assert [row[c] for c in ("again", "fresh process", "2 workers", "killed, resumed", "other seed differs")] == [
        "yes"
    ] * 5


@pytest.mark.slow
def test_every_suite_runs_on_what_gans_are_made_of(tmp_path: Path) -> None:
    report = tmp_path / "report"
    suites(report, "--reference-module", "tests.ingredient_toys", "--references", "toy-ingredients")
    row = row_of(report, "determinism", reference="toy-ingredients")
    assert [row[c] for c in ("again", "fresh process", "2 workers", "killed, resumed", "other seed differs")] == [
        "yes"
    ] * 5
    left = {
        r.metric: r.reason
        for r in read_records(report / "records.jsonl")
        if r.reference == "toy-ingredients" and r.status in ("skipped", "failed")
    }
    assert {r.status for r in read_records(report / "records.jsonl")} == {"measured", "estimated", "skipped"}
    assert "the card says nothing of networks" in left.values()
    assert set(left.values()) <= {
        "the card says nothing of networks",
        "the card doesn't say how weights are drawn",
        "no mode has enough high-quality samples",
        "on a CPU this is what the suites of determinism and memory see, too",
        "pytest-benchmark is switched off here",
        "a trend takes 800 steps, this training had 90",
        "a training of fewer than 1,000 steps isn't looked at",
    }


def test_seeds_are_kept_apart_and_summarised(toy_report: tuple[Path, str]) -> None:
    records = read_records(toy_report[0] / "records.jsonl")
    seeds = {r.seed for r in records if r.reference == "toy-grid" and r.metric == "modes_captured"}
    assert seeds == {0, 1}
    assert row_of(toy_report[0], "modes", sampler="toy-grid")["seeds"] == "2"


def test_skips_are_records_with_their_reasons(toy_report: tuple[Path, str]) -> None:
    skipped = [r for r in read_records(toy_report[0] / "records.jsonl") if r.status == "skipped"]
    reasons = {r.metric: r.reason for r in skipped}
    assert reasons["test_printed_text"] == "nothing to check: no reference asked for has a printed text"
    assert reasons["test_classes"] == "nothing to check: no reference asked for has classes"
    assert f"{len(skipped)} skipped" in toy_report[1]


def test_every_record_names_its_machine_and_data(toy_report: tuple[Path, str]) -> None:
    def complete(r: Record) -> bool:
        return bool(r.device and r.environment and r.profile == "smoke")

    records = read_records(toy_report[0] / "records.jsonl")
    assert all(complete(r) for r in records)
    assert {r.data for r in records if r.suite == "determinism"} == {"3×3 Gaussian grid"}


def test_without_a_reference_on_the_grid_the_modes_are_skipped_with_a_reason(tmp_path: Path) -> None:
    report = tmp_path / "report"
    suites(report, "--references", "mlp-gan-mnist", "-k", "test_modes or test_density or parameter")
    reasons = {r.metric: r.reason for r in read_records(report / "records.jsonl") if r.status == "skipped"}
    assert reasons["test_modes"] == "nothing to check: no reference asked for has modes"
    assert reasons["test_density_plot"] == "nothing on the grid is to be shown"


def test_a_broken_reference_fails_and_the_table_says_why(tmp_path: Path) -> None:
    arguments = ("--reference-module", "tests.broken_toys", "--references", "toy-unsteady", "-k", "same_bits or shapes")
    shown = suites(tmp_path / "report", *arguments, code=1)
    assert "step 1: network/" in shown
    row = row_of(tmp_path / "report", "determinism", reference="toy-unsteady")
    assert row["again"].startswith("NO: step 1: network/")
    failed = [r for r in read_records(tmp_path / "report" / "records.jsonl") if r.status == "failed"]
    assert {r.metric for r in failed} == {"test_same_bits", "test_layer_shapes"}
    assert all(r.reason for r in failed)


def test_the_users_example_runs_on_every_suite_unchanged(tmp_path: Path) -> None:
    report = tmp_path / "report"
    shown = suites(report, "--reference-module", "examples.my_gan", "--references", "my-*", "--seeds", "1")
    assert "failed" not in shown.splitlines()[-1]
    assert row_of(report, "determinism", reference="my-lsgan-grid")["killed, resumed"] == "yes"
    assert row_of(report, "shapes", reference="my-lsgan-grid", network="generator")["wrong layer shapes"] == "0; 0; 0"
    assert row_of(report, "scorecard", reference="my-lsgan-grid")["verdict"] != ""
    suites_seen = {r.suite for r in read_records(report / "records.jsonl")}
    every = {p.stem.removeprefix("test_") for p in (ROOT / "suites").glob("test_*.py")}
    assert suites_seen == every - {"metrics", "loading", "mutants", "samples", "golden"}, "those aren't about it"
    assert "not run on a GAN of one's own: " in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "tpu"), "unknown device 'tpu'; there are: auto"),
        (("--references", "mlp*,nothing-*"), "no reference matches 'nothing-*'; there are:"),
        (("--data-root", "/no/where"), "the data root /no/where isn't a folder"),
        (("--reference-module", "no.module"), "the reference module 'no.module' can't be imported"),
        (("-n", "2"), "pytest-xdist's -n would time and train things at once that disturb each other: --jobs N"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    shown = suites(tmp_path / "report", *arguments, code=2)
    assert f"gan-harness: {message}" in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) <= 2
    assert not (tmp_path / "report").exists()


def test_only_collecting_keeps_the_earlier_report(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("")
    suites(tmp_path, *TOY, "--collect-only")
    assert [p.name for p in tmp_path.iterdir()] == ["records.jsonl"]


def test_a_folder_that_is_no_report_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "report.md").write_text("of something else")
    assert "holds 'thesis.tex', which no report has" in suites(tmp_path, code=2)
    assert (tmp_path / "thesis.tex").exists()
    assert (tmp_path / "report.md").exists()


HELD = """
import json
from pathlib import Path
from harness.records.metrics import FID

def test_values(subject, seed):
    given = json.loads((Path(__file__).parent / "given.json").read_text())
    subject.record(FID, given["value"] + seed / 10, n=given["n"], seed=seed)
"""
# One process for all runs: starting one takes longer than they do.
SEVERAL = """
import json, sys
from pathlib import Path
import pytest

for given, arguments in json.loads(sys.argv[2]):
    Path(sys.argv[1], "given.json").write_text(json.dumps(given))
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments])
    print(f"\\nended with {int(code)}", flush=True)
"""


PLUGIN = 'pytest_plugins = ["harness.suite.plugin"]\n'  # what suites of one's own say
FULL = """
import errno
import pytest
from harness.files.writing import write_text
from harness.records.metrics import FID

def test_one(suite):
    suite.record("toy-grid", FID, 1.0)

def test_full(suite, monkeypatch):
    def full(path, record):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
    pytest.MonkeyPatch().setattr("harness.reporting.recorder.append_record", full)
    suite.record("toy-grid", FID, 2.0)
"""


def test_a_full_disk_is_a_line_and_what_was_recorded_is_kept(tmp_path: Path) -> None:
    """pytest calls it an internal error and ends with 3, which must not look like a verdict."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite" / "conftest.py").write_text(PLUGIN)
    (tmp_path / "suite" / "test_full.py").write_text(FULL)
    done = call([str(tmp_path / "suite"), *TOY, "--report-dir", str(tmp_path / "report"), "-q"], ROOT, program="pytest")
    assert done.returncode == 2, done.stdout + done.stderr
    line = f"gan-harness: {tmp_path / 'report' / 'records.jsonl'}: No space left on device; what was recorded before"
    assert line in done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert [r.value for r in read_records(tmp_path / "report" / "records.jsonl")] == [1.0]


def test_a_second_session_does_not_write_into_the_report_of_the_first(tmp_path: Path) -> None:
    """Both ended with 0, and 197 records were gone."""
    with held(tmp_path / "report"):
        assert "report is being written by process " in suites(tmp_path / "report", code=2)
    assert not (tmp_path / "report").exists()


def test_a_baseline_decides_the_exit_code(tmp_path: Path) -> None:
    folder = tmp_path / "held"
    folder.mkdir()
    (folder / "conftest.py").write_text(PLUGIN)
    (folder / "test_held.py").write_text(HELD)

    def ran(
        name: str, value: float, n: int, *more: str, suite: str = str(folder)
    ) -> tuple[dict[str, float], list[str]]:
        return {"value": value, "n": n}, [suite, *TOY, "--seeds", "4", "--report-dir", str(tmp_path / name), *more]

    against = ("--baseline", str(tmp_path / "first"))
    runs = [
        ran("first", 10, 100),
        ran("same", 10, 100, *against),
        ran("worse", 15, 100, *against, "--first-seed", "50"),
        ran("otherwise", 10, 200, *against),
        ran("fewer", 15, 100, *against, "--seeds", "2"),
        ran("without", 10, 100, "--baseline", str(tmp_path / "absent"), suite="suites/test_modes.py"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, str(folder), json.dumps(runs)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    *parts, _ = re.split(r"ended with (\d+)\n", done.stdout)
    shown, codes = parts[::2], parts[1::2]
    assert codes == ["0", "0", "1", "10", "10", "2"], done.stdout + done.stderr
    assert f"against {tmp_path / 'first'}: 1 kept" in shown[1]
    assert "Code: this repository at " in shown[1]
    assert "Bits: not compared" in shown[1]
    assert "toy-grid fid: worse" in shown[2]
    assert "toy-grid fid: not comparable, n: 100 against 200" in shown[3]
    assert "toy-grid fid: inconclusive, needs about" in shown[4]
    assert f"{tmp_path / 'absent'} holds no records.jsonl" in done.stderr
    assert len((shown[5] + done.stderr).strip().splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert row_of(tmp_path / "same", "comparison", metric="fid")["verdict"] == (
        "kept (the same values for the same seeds)"
    )
    assert row_of(tmp_path / "worse", "comparison", metric="fid")["verdict"] == "worse"
    assert not (tmp_path / "first" / "comparison.csv").exists()
