"""`pytest suites/test_loading.py` as a user runs it, in processes of its own; and with formats that are broken."""

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

from harness.data import synthetic
from harness.records.record import Record, read_records
from tests.processes import call
from tests.suite.test_plugin import ROOT, row_of

pytestmark = pytest.mark.slow

SUITE = "suites/test_loading.py"
CELEBA = ("--references", "handson-dcgan-celeba")
SAMPLES = 260  # more than a window of one block

# Patches that last for one run: what a change to a format could do to it.
SABOTEUR = """
import torch

from {module} import {name}
kept = {name}.{method}

def changed(self, indices, *more):
    {change}

def pytest_configure():
    {name}.{method} = changed

def pytest_unconfigure():
    {name}.{method} = kept
"""
SABOTEURS = {
    "other_pixels": (
        {
            "module": "harness.data.lsun",
            "name": "Lsun",
            "method": "pixels",
            "change": "batch = kept(self, indices); batch.data[0, 0, 0, 0] += 1; return batch",
        },
        "LMDB, 0 workers, window 0",
    ),
    "another_order": (
        {
            "module": "harness.data.packed",
            "name": "PackedImages",
            "method": "pixels",
            "change": "swapped = indices.clone(); swapped[:2] = indices[:2].flip(0); return kept(self, swapped)",
        },
        "packed, 0 workers, window 0",
    ),
    "another_window": (
        {
            "module": "harness.data.packed",
            "name": "_Held",
            "method": "rows",
            "change": "return kept(self, indices, *more)[::-1].copy()",
        },
        "packed, 0 workers, window 256",
    ),
    "always_the_first_block": (
        {
            "module": "harness.data.packed",
            "name": "_Held",
            "method": "rows",
            "change": "return kept(self, indices % 256, *more)",
        },
        "packed, 0 workers, window 256",
    ),
    "only_in_workers": (
        {
            "module": "harness.data.image_folder",
            "name": "ImageFolder",
            "method": "pixels",
            "change": "return kept(self, indices.flip(0) if torch.utils.data.get_worker_info() else indices)",
        },
        "folder, 2 workers, window 0",
    ),
}
# One fresh process for all runs: in copies of another one, loaders would start their workers otherwise.
SEVERAL = """
import json, sys
import pytest

sys.path.insert(0, sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    code = pytest.main(["-q", "-p", "no:cacheprovider", *arguments])
    print(f"\\nended with {int(code)}", flush=True)
"""


@dataclass(frozen=True)
class Ran:
    """What one run showed, its exit code, and its report."""

    report: Path
    shown: str
    code: str

    def of(self, metric: str) -> list[Record]:
        return [r for r in read_records(self.report / "records.jsonl") if r.metric == metric]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    folder = tmp_path_factory.mktemp("suite")
    for name, samples in (("data", SAMPLES), ("few", 12)):
        synthetic.draw_into(folder / name, "faces", samples, 0)
    on_celeba = (SUITE, *CELEBA, "--data-root", str(folder / "data"))
    runs = {
        # A simulated disk, a place whose cache can't be emptied, a stated time of a step.
        "green": (
            *on_celeba,
            "-k",
            "same or packed or disks",
            "--storage",
            "ssd",
            "--storage",
            "shm=/dev/shm",
            "--step-ms",
            "4000",
        ),
        "toy": (SUITE, "--reference-module", "tests.toys", "--references", "toy-grid", "--storage", "ssd"),
        "few": (SUITE, *CELEBA, "--data-root", str(folder / "few"), "-k", "packed", "--storage", "ssd"),
    }
    for name, (change, _) in SABOTEURS.items():
        (folder / f"{name}.py").write_text(SABOTEUR.format(**change))
        runs[name] = ("-p", name, *on_celeba, "-k", "same")
    if not os.path.ismount("/dev/shm"):
        pytest.skip("no file system in memory here")
    asked = [[*run, "--report-dir", str(folder / f"{name}-report")] for name, run in runs.items()]
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, str(folder), json.dumps(asked)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=280,
    )
    *parts, _ = re.split(r"ended with (\d)\n", done.stdout)
    assert len(parts) == 2 * len(runs), done.stdout + done.stderr
    ended = zip(runs, parts[::2], parts[1::2], strict=True)
    return {name: Ran(folder / f"{name}-report", shown, code) for name, shown, code in ended}


@pytest.fixture
def green(ran: dict[str, Ran]) -> Ran:
    return ran["green"]


def rows(report: Path, table: str) -> list[dict[str, str]]:
    with (report / f"{table}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_suite_passes(green: Ran) -> None:
    assert green.code == "0", green.shown
    assert "4 passed" in green.shown


def test_formats_are_recorded_to_be_the_same_in_every_way_of_reading(green: Ran) -> None:
    found = green.of("same_pictures")
    ways = {(r.protocol["format"], r.protocol["workers"], r.protocol["window"]) for r in found}
    assert ways == {(form, w, n) for form in ("folder", "LMDB", "packed") for w in "02" for n in ("0", "256")}
    assert {(r.value, r.data, r.real_data) for r in found} == {(1.0, "stand-in: drawn faces", False)}
    assert {r.n for r in found} == {len(range(0, SAMPLES, -(-SAMPLES // 128)))}
    assert {row["values and order as documented"] for row in rows(green.report, "same_pictures")} == {"yes"}


def test_simulated_and_measured_values_are_kept_apart_and_what_is_not_measured_says_why(green: Ran) -> None:
    found = {(r.protocol["storage"], r.status) for r in green.of("images_per_second")}
    assert found == {("ssd", "simulated"), ("page cache", "measured"), ("shm", "skipped")}
    for workers in ("0", "2"):
        row = row_of(green.report, "loading", storage="ssd", workers=workers)
        assert (row["status"], row["cache"], row["format"]) == ("simulated", "cold", "packed")
        assert row["training is bound by"] == ("both in turn, more by computing" if workers == "0" else "computing")
        seeks, moves = row["the disk seeks / moves bytes"].split(" / ")
        assert int(seeks.removesuffix("%")) <= int(moves.removesuffix("%"))
        assert (
            row_of(green.report, "loading", storage="page cache", workers=workers)["the disk seeks / moves bytes"] == ""
        )
        skipped = row_of(green.report, "loading", storage="shm", workers=workers)
        assert skipped["images/s"].startswith("the page cache still holds")
        assert skipped["CelebA epoch, h"] == ""


def test_the_documents_hours_stand_below_the_disk_they_speak_of(green: Ran) -> None:
    stand = [row["storage"] for row in rows(green.report, "loading")]
    assert stand.index("GTX 1080Ti + SSD") == max(place for place, name in enumerate(stand) if name == "ssd") + 1
    assert row_of(green.report, "loading", storage="GTX 960 + HDD")["CelebA epoch, h"] == "2"


def test_the_report_has_a_page_a_plot_and_a_note_and_no_copies_are_left(green: Ran) -> None:
    page = (green.report / "loading.md").read_text()
    assert "On `ssd`, simulated, with 2 workers, `packed` gets" in page
    assert "nan" not in page
    assert "plots/loading.png" in (green.report / "report.md").read_text()
    with Image.open(green.report / "plots" / "loading.png") as plot:
        plot.load()
    assert list((green.report / "runs").iterdir()) == []
    assert not list(Path("/dev/shm").glob("gan-harness-loading-*"))


def test_a_stated_time_of_a_step_is_an_estimate_and_without_two_disks_there_is_no_speed_up(green: Ran) -> None:
    (computing,) = green.of("computing_images_per_second")
    assert (computing.value, computing.status) == (32, "estimated")
    (speed_up,) = green.of("epoch_speed_up_ssd_over_hdd")
    assert speed_up.status == "skipped"


def test_without_a_reference_on_pictures_everything_is_skipped_with_a_reason(ran: dict[str, Ran]) -> None:
    toy = ran["toy"]
    assert toy.code == "0", toy.shown
    records = read_records(toy.report / "records.jsonl")
    assert {r.status for r in records} == {"skipped"}
    reasons = {r.metric: r.reason for r in records}
    assert reasons["test_loading"] == "nothing to check: no reference asked for is on celeba or lsun-bedroom"
    assert reasons["test_disks"] == "nothing to check: no reference asked for has a comparison of disks"
    assert not (toy.report / "loading.csv").exists()


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_format_that_gives_something_else_fails(name: str, ran: dict[str, Ran]) -> None:
    broken, named = ran[name], SABOTEURS[name][1]
    assert broken.code == "1", broken.shown
    assert f"{named}: other values than documented" in broken.shown
    found = [row["values and order as documented"] for row in rows(broken.report, "same_pictures")]
    assert found == ["yes"] * (len(found) - 1) + ["NO"]
    failed = [r for r in read_records(broken.report / "records.jsonl") if r.status == "failed"]
    assert [r.metric for r in failed] == ["test_same_pictures"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--storage", "nowhere"), "unknown storage 'nowhere': hdd or ssd simulate a disk; a folder measures the disk"),
        (("--storage", "hdd", "--storage", "hdd=/tmp"), "two storages have one name: hdd, hdd"),
        (("--storage", "ssd", "--storage", "ssd"), "two storages have one name: ssd, ssd"),
        (("--storage", "=/tmp"), "unknown storage '=/tmp'"),
        (("--step-ms", "0"), "--step-ms must be more than 0, not 0"),
        (("--step-ms", "nan"), "--step-ms must be more than 0, not nan"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    asked: list[str | Path] = [SUITE, "-q", "-p", "no:cacheprovider", "--report-dir", tmp_path / "report", *arguments]
    done = call(asked, ROOT, program="pytest")
    shown = done.stdout + done.stderr
    assert done.returncode == 2, shown
    assert f"gan-harness: {message}" in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) <= 2
    assert not (tmp_path / "report").exists()


def test_a_small_folder_of_pictures_of_ones_own_is_measured_and_fails_nothing(ran: dict[str, Ran]) -> None:
    assert ran["few"].code == "0", ran["few"].shown


STRANGER = """
import pytest

@pytest.fixture
def storage():
    return "of another project"

def test_storage(storage):
    assert storage == "of another project"
"""


def test_other_projects_tests_may_have_a_fixture_called_storage(tmp_path: Path) -> None:
    """The plugin is loaded wherever this package is installed."""
    (tmp_path / "test_stranger.py").write_text(STRANGER)
    done = call(["-q", "-p", "no:cacheprovider", "test_stranger.py"], tmp_path, program="pytest")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert not (tmp_path / "reports").exists()
