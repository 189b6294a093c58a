"""Several processes that share GPUs: who sees which, and the same values whoever is killed."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.suite.gpu_jobs import gpu_masks
from tests.suite.test_jobs import counts, ended, records
from tests.suite.test_merge import joined, same, start, told, wait_for, whole

TWO = ("-p", "tests.pretended_gpus")
DEADLY = ("--reference-module", "tests.deadly_toys", "--references", "toy-grid,toy-deadly,toy-deadly-drawing")
__all__ = ["whole"]  # a fixture


@pytest.mark.parametrize(
    ("visible", "gpus", "per_run", "jobs", "masks"),
    [
        (None, 2, 1, 2, ["0", "1"]),
        (None, 2, 0.5, 3, ["0", "1", "0"]),
        ("3,5", 2, 0.25, 8, ["3", "5"] * 4),
        ("GPU-1a,GPU-2b", 2, 1, 1, ["GPU-1a"]),
        (None, 5, 2, 2, ["0,1", "2,3"]),
        (None, 10, 0.1, 100, [str(index) for index in range(10)] * 10),
    ],
)
def test_who_sees_which_gpus(visible: str | None, gpus: int, per_run: float, jobs: int, masks: list[str]) -> None:
    assert gpu_masks(visible, gpus, per_run, jobs) == masks


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 16))
def test_no_gpu_is_given_out_more_than_once(gpus: int, parts: int, jobs: int) -> None:
    if jobs > gpus * parts:
        with pytest.raises(ValueError, match=f"--jobs {jobs} with "):
            gpu_masks(None, gpus, 1 / parts, jobs)
        return
    masks = gpu_masks(None, gpus, 1 / parts, jobs)
    assert len(masks) == jobs
    assert max(map(masks.count, masks)) == -(-jobs // gpus), "the least crowded first"


def test_there_is_no_room_for_more() -> None:
    with pytest.raises(ValueError, match=r"--gpus-per-run 3: there are 2$"):
        gpu_masks(None, 2, 3, 1)
    with pytest.raises(ValueError, match="--jobs 3 with 1 GPUs for each: there are 2, which 2 can share; --gpus-per-"):
        gpu_masks(None, 2, 1, 3)


def test_all_are_stopped_then_one_is_killed_and_in_the_end_nothing_shows(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    report = tmp_path / "report"
    process = start(report, *TWO)
    wait_for(2, report)
    there = joined(report)
    assert {child.environ()["CUDA_VISIBLE_DEVICES"] for child in there} == {"0", "1"}
    os.kill(process.pid, signal.SIGINT)
    assert "it was stopped after " in ended(process, report, code=2)
    assert not any(child.is_running() for child in there)
    process, done = start(report, *TWO, "--resume"), told(report)
    wait_for(done + 2, report)
    joined(report)[0].send_signal(signal.SIGKILL)
    shown = ended(process, report)
    assert counts(shown).startswith(counts(whole[1]))
    same(report, whole[0])
    assert told(report) == told(whole[0]), "no check was done twice"
    assert not list((report / "checks").glob("*.txt"))


def test_what_always_dies_has_failed_and_the_others_finish(whole: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    ended(start(report, *TWO, *DEADLY, "-k", "shapes or modes or (leak and drawing)"), report, code=1)
    found = records(report)
    failed = [r for r in found if r["status"] == "failed"]
    assert {("toy-deadly", "test_modes"), ("toy-deadly-drawing", "test_modes")} <= {
        (r["reference"], r["metric"]) for r in failed
    }
    assert {r["reference"] for r in failed} == {"toy-deadly", "toy-deadly-drawing"}
    assert {r["status"] for r in found if r["suite"] == "memory"} == {"measured"}, "told before the process died"
    lines = [line for path in (report / "checks").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len({json.loads(line)["place"] for line in lines}) == len(lines), "no check was done twice"
    assert failed[0]["reason"] == f"lost 2 times: a process on {os.uname().nodename} ended with SIGKILL"
    mine = [r for r in found if r["reference"] == "toy-grid"]
    assert mine == [r for r in records(whole[0]) if r["reference"] == "toy-grid"]


def test_cards_that_differ_are_named(tmp_path: Path) -> None:
    shown = ended(start(tmp_path / "report", *TWO, "-p", "tests.other_cards"), tmp_path / "report", code=2)
    assert re.search(r"processes of this run differ: device card (0 and card 1|1 and card 0); name one kind", shown)
