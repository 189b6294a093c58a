"""Several processes of one run: the same figures in the same order, whoever does what, and whoever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import Life

ROOT = Path(__file__).parents[2]
ASKED = ("suites", "-q", "-p", "no:cacheprovider", "-k", "shapes or determinism")
TOYS = ("--reference-module", "tests.toys", "--references", "toy-grid,idl-gan-grid")


def start(report: Path, *arguments: str) -> Life:
    asked = [*ASKED, "--report-dir", str(report), *arguments]
    return Life(asked, ROOT, str(report.with_suffix(".txt")), str(report.with_suffix(".txt")), program="pytest")


def ended(process: Life, report: Path, code: int = 0) -> str:
    found = process.wait(600)
    shown = report.with_suffix(".txt").read_text(encoding="utf-8")
    assert found == code, shown
    return shown


def records(report: Path) -> list[dict[str, Any]]:
    """All but when, and how the machine waits where it is crowded."""
    lines = [json.loads(line) for line in (report / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in ("time", "environment")} for line in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    report = tmp_path_factory.mktemp("alone") / "report"
    return report, ended(start(report, *TOYS, "--jobs", "1"), report)


def counts(shown: str) -> str:
    """How many checks ended how: pytest's last line, whatever another library says after it."""
    return next(line.rpartition(" in ")[0] for line in reversed(shown.splitlines()) if " passed" in line).strip("= ")


def test_two_processes_find_what_one_finds_in_the_same_order(alone: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    shown = ended(start(report, *TOYS, "--jobs", "2"), report)
    assert records(report) == records(alone[0])
    assert counts(shown) == counts(alone[1])
    assert (report / "shapes.csv").read_bytes() == (alone[0] / "shapes.csv").read_bytes()
    assert sorted(path.suffix for path in (report / "checks").iterdir()) == [".json", ".jsonl", ".jsonl"]


def test_what_a_killed_process_had_taken_is_done_again(alone: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    process = start(report, *TOYS, "--jobs", "2")
    os.kill(other_of(process.pid), signal.SIGKILL)
    shown = ended(process, report)
    assert records(report) == records(alone[0])
    assert counts(shown) == counts(alone[1])


def other_of(pid: int) -> int:
    """The other process of a run, once it has begun a check that takes a process of its own."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        with contextlib.suppress(psutil.NoSuchProcess):
            run = psutil.Process(pid)
            copies = [child for child in run.children() if child.cmdline() == run.cmdline()]
            if copies and copies[0].children():
                return copies[0].pid
        time.sleep(0.02)
    raise AssertionError("no other process has begun")


def test_after_a_failure_with_maxfail_nothing_goes_on(tmp_path: Path) -> None:
    report = tmp_path / "report"
    # While one process comes to the failure, after seconds, the other has shapes to check.
    both = ("--references", "toy-unsteady,toy-grid", "-k", "shapes or (determinism and unsteady)")
    asked = ("--reference-module", "tests.broken_toys", *both, "-x", "--jobs", "2")
    shown = ended(start(report, *asked), report, code=1)
    assert "stopping after 1 failures" in shown
    assert any(r["status"] == "failed" for r in records(report))
    assert sorted(path.suffix for path in (report / "checks").iterdir()) == [".json", ".jsonl", ".jsonl"]
