"""Revisions of before 0.2 and of today are comparable: other rooms, other names of metrics, another plugin."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.test_commands import ROOT, run
from tests.processes import call

BEFORE = "4f9cfda417efbace6a54ef34a61c24f6dcb8642e"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def history() -> None:
    found = subprocess.run(["git", "cat-file", "-e", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip("this clone lacks the history")


def test_modes_are_held_against_each_other(tmp_path: Path) -> None:
    """The smoke profile trains for fewer steps since: the gate says so."""
    asked = ("--seeds", "1", "--references", "idl-gan-grid", "--device", "cpu", "--out", tmp_path / "out")
    metrics = ("--metrics", "modes_captured,high_quality_fraction,reverse_kl")
    run("ab", BEFORE, "HEAD", *asked, *metrics, code=10)
    lines = (tmp_path / "out" / "comparison.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    points = [row for row in rows if row[1:2] == ["idl-gan-grid"]]
    assert len(points) == 3
    assert all(row[-2].startswith("not comparable (epochs: ") for row in points), points
    assert all(row[3] and row[4] for row in points), "both sides have been measured"


def test_steps_are_timed_in_turn(tmp_path: Path) -> None:
    asked = ("--speed", "--rounds", "2", "--references", "idl-gan-grid", "--batch-size", "8", "--device", "cpu")
    done = call(("ab", BEFORE, "HEAD", *asked, "--out", tmp_path / "out"), ROOT)
    assert done.returncode in (0, 1, 10), done.stderr
    assert "idl-gan-grid" in (tmp_path / "out" / "speed.md").read_text()
