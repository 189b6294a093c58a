"""Runs in parts: interrupted and gone on with, or sharded and merged, they are the run that was never interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from harness.suite.merge import merge_parts
from tests.processes import Life, call
from tests.suite.test_jobs import ROOT, counts, ended, records

ASKED = ("suites", "-q", "-p", "no:cacheprovider", "-k", "shapes or modes or closing", "--seeds", "2", "--jobs", "2")
TOYS = ("--reference-module", "tests.toys", "--references", "toy-grid,idl-gan-grid")


def start(report: Path, *arguments: str) -> Life:
    shown = str(report.with_suffix(".txt"))
    return Life([*ASKED, *TOYS, "--report-dir", str(report), *arguments], ROOT, shown, shown, program="pytest")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run that was never interrupted, and what it printed; made once for all processes of these tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole"
    report, printed = folder / "report", folder / "report.txt"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            ended(start(report), report)
            (folder / "done").touch()
    return report, printed.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    reports = [tmp_path_factory.mktemp("shards") / str(number) for number in (1, 2, 3)]
    for number, report in enumerate(reports, 1):
        assert f"shard {number}/3 is done" in ended(start(report, "--shard", f"{number}/3"), report)
    return reports


def same(report: Path, whole: Path) -> None:
    assert records(report) == records(whole)
    tables = sorted(path.name for path in whole.glob("*.csv"))
    assert sorted(path.name for path in report.glob("*.csv")) == tables
    for table in set(tables) - {"tidy.csv"}:  # which has the time of every record
        assert (report / table).read_bytes() == (whole / table).read_bytes(), table
    assert (report / "plots" / "modes.png").read_bytes() == (whole / "plots" / "modes.png").read_bytes()


def told(report: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (report / "checks").glob("*.jsonl"))


def wait_for(least: int, report: Path) -> None:
    """Until so many checks have told."""
    until = time.monotonic() + 300
    while told(report) < least and time.monotonic() < until:
        time.sleep(0.01)
    assert told(report) >= least


def joined(report: Path) -> list[psutil.Process]:
    """The processes that do checks of this run, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "--joins" in line and str(report) in line:
                found.append(process)
    return found


def test_a_run_that_is_killed_again_and_again_ends_as_if_never(whole: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    for least in (1, 6, 12):
        process = start(report, "--resume")
        wait_for(least, report)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    shown = ended(start(report, "--resume"), report)
    assert counts(shown) == counts(whole[1])
    same(report, whole[0])
    assert told(report) == told(whole[0]), "no check was done twice"
    shown = ended(start(report, "--resume"), report)
    assert counts(shown) == counts(whole[1]), "going on with what is done changes nothing"
    same(report, whole[0])


def test_time_that_is_over_ends_a_run_in_order(whole: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    shown = ended(start(report, "--resume", "--time-limit", "1s"), report, code=11)
    assert "the time is over after " in shown
    assert "the same command with --resume goes on from there" in shown
    ended(start(report, "--resume"), report)
    same(report, whole[0])


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    report = tmp_path / "report"
    process = start(report)
    wait_for(1, report)
    os.kill(process.pid, signal.SIGINT)
    assert "it was stopped after " in ended(process, report, code=2)
    assert json.loads((report / "session.json").read_text())["finished"] == ""


def test_shards_merged_are_the_whole_run(whole: tuple[Path, str], shards: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "merged"
    done = call(["merge", *map(str, reversed(shards)), "--out", str(out)], ROOT, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout) == counts(whole[1]), done.stdout + done.stderr
    same(out, whole[0])
    assert (out / "runs" / "toy-grid-seed1" / "run.json").is_file()
    assert json.loads((out / "session.json").read_text())["finished"]


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def cut(folder: Path) -> None:
    lines = (folder / "checks" / "0.jsonl").read_text().splitlines(keepends=True)
    (folder / "checks" / "0.jsonl").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (cut, r"shard 2/3 in .* lacks 1 checks: --resume goes on with it"),
        (
            lambda f: changed(f, "checks/collected.json", lambda c: c.update(checks="other")),
            r"2 isn't of one run with .*1: other checks",
        ),
        (
            lambda f: changed(f, "checks/collected.json", lambda c: c["code"].update(harness="x")),
            r"isn't of one run with .*: other code",
        ),
        (
            lambda f: changed(f, "session.json", lambda c: c.update(options=["--seeds=9"])),
            r"isn't of one run with .*: other options",
        ),
        (
            lambda f: changed(
                f, "environment.json", lambda c: c.update({k: v | {"device": "T4"} for k, v in c.items()})
            ),
            r"isn't of one run with .*: other device \(.*, T4\)",
        ),
        (
            lambda f: changed(f, "checks/collected.json", lambda c: c.update(shard="2/4")),
            r"other number of shards \(3, 4\)",
        ),
        (
            lambda f: changed(f, "checks/collected.json", lambda c: c.update(mine=c["mine"][:-1])),
            "the shards were dealt otherwise on different machines",
        ),
        (lambda f: changed(f, "checks/collected.json", lambda c: c.update(shard="1/3")), "shard 1/3 is there twice"),
        (lambda f: changed(f, "checks/collected.json", lambda c: c.update(shard="")), "is no report of a shard"),
        (shutil.rmtree, "is no report of a shard"),
    ],
)
def test_what_is_no_part_of_the_run_is_refused(
    break_it: Callable[[Path], None], said: str, shards: list[Path], tmp_path: Path
) -> None:
    copies = [Path(shutil.copytree(shard, tmp_path / shard.name)) for shard in shards]
    break_it(copies[1])
    with pytest.raises(ValueError, match=said) as raised:
        merge_parts(copies, tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_missing_shards_and_places_that_are_taken_are_refused(shards: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of 3 shards, 2, 3 are missing"):
        merge_parts(shards[:1], tmp_path / "out")
    with pytest.raises(ValueError, match=r"1 is there already, and no result replaces another"):
        merge_parts(shards, shards[0])


def test_what_lies_there_is_not_gone_on_with_as_something_else(shards: list[Path]) -> None:
    for arguments, said in (
        (("--shard", "2/3"), "shard 1/3 lies there"),
        (("--shard", "1/3", "--seeds", "1"), "options --seeds=2 --reference-module=tests.toys there, --seeds=1 --ref"),
        (("--shard", "1/3", "-k", "modes"), "checks, of `suites "),
    ):
        report = shards[0]
        shown = ended(start(report, "--resume", *arguments), report, code=2)
        assert f"{report} can't be gone on with: " in shown
        assert said in shown
