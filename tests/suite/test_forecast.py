"""What `gan-harness plan` says, before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.data.loader import batches_per_epoch
from harness.suite.forecast import CHECK_SECONDS, Forecast, devices_table, forecast_table
from reference import get
from tests.processes import call

ROOT = Path(__file__).parents[2]


def unit(seconds: float, *, alone: bool = False) -> Forecast:
    """A unit of so many steps of a second each, without checks."""
    return Forecast(f"{seconds:g}", 0, 1, int(seconds), 1e9, 1.0, 2**20, 10**6, alone)


def test_a_unit_takes_its_steps_and_its_checks() -> None:
    assert unit(100).seconds == 100
    assert Forecast("checks", 3, 0, 0, 0.0, 0.0, 0, 0, alone=False).seconds == 3 * CHECK_SECONDS


def test_the_longest_unit_ends_what_more_devices_bring() -> None:
    """Two units of 60 s, two of 30 s, and one of 20 s that needs a machine of its own, after them."""
    table = devices_table([unit(60), unit(60), unit(30), unit(30), unit(20, alone=True)])
    assert list(table["devices"]) == [1, 2, 4]
    assert list(table["time"]) == ["3 min", "2 min", "80 s"]
    assert list(table["of that the longest unit"]) == ["33%", "67%", "100%"]
    assert list(table["use of the devices"]) == ["100%", "91%", "62%"]


def test_the_longest_comes_first() -> None:
    assert list(forecast_table([unit(10), unit(90), unit(30, alone=True)])["unit"]) == ["90", "30, alone", "10"]


def test_nothing_is_done_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["plan", "--profile", "documented", "--seeds", "2", "--references", "idl-gan-grid", "--device", "cpu"]
    done = call(asked, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if "seed" in line]
    steps = [row[2] for row in rows if re.fullmatch(r"idl-gan-grid, seed \d", row[0])]
    card = get("idl-gan-grid").card
    assert steps == [f"{card.epochs * batches_per_epoch(90_000, card.batch_size, drop_last=card.drop_last):,}"] * 2
    assert "Steps were measured here, on " in done.stdout
    assert not list(tmp_path.iterdir())


def test_steps_of_another_machine_are_taken_from_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The H100's, in which a step of the grid takes 8.992 ms; what it hasn't measured stays unknown."""
    monkeypatch.chdir(tmp_path)
    there = ROOT / "reports" / "measured" / "nvidia-h100-80gb" / "speed"
    asked = ["plan", "--profile", "documented", "--seeds", "1", "--device", "cpu", "-k", "modes"]
    references = ["--references", "idl-gan-grid,idl-wgan-gp-grid@critic_updates=5"]
    done = call([*asked, *references, "--steps-of", str(there)], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")]
        for line in done.stdout.splitlines()[2:]
        if "|" in line
    }
    assert rows["idl-gan-grid, seed 0"][5:7] == ["8.99 ms", "11 min"]
    assert rows["idl-wgan-gp-grid@critic_updates=5, seed 0"][5:7] == ["not measured", "unknown"]
    assert f"Steps were measured in {there}, on NVIDIA H100 80GB HBM3; " in done.stdout
    nothing = call([*asked, "--steps-of", str(ROOT / "reports" / "measured" / "amd-epyc-2-cores" / "shapes")], tmp_path)
    assert nothing.returncode == 2
    assert "holds no measured steps: it takes a report of test_speed.py" in nothing.stdout + nothing.stderr
