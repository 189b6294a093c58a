from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.checks import watchdog
from harness.files.kept import kept_arrays
from harness.reporting.plots import save_curves
from harness.suite.course import keep_course
from harness.training import RunConfig, train
from reference import get


def test_a_training_leaves_its_losses_and_an_animation(toy_config: Callable[..., RunConfig], tmp_path: Path) -> None:
    run = train(toy_config(steps=7, sample_every=2), tmp_path / "run")
    keep_course(run, "toy-grid", tmp_path / "plots")
    ((title, course),) = kept_arrays(tmp_path / "plots" / "losses").items()
    assert title == "toy-grid, seed 0, 7 steps"
    np.testing.assert_array_equal(course["step"], range(1, 8))
    assert (tmp_path / "plots" / "toy-grid-seed0.gif").is_file()


def test_what_was_looked_at_is_kept_to_be_drawn(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "APART", 2)
    monkeypatch.setattr(watchdog, "LEAST", 4)
    run = train(toy_config(steps=8), tmp_path / "run", observe=watchdog.Watchdog)
    keep_course(run, "toy-grid", tmp_path / "plots")
    ((title, course),) = kept_arrays(tmp_path / "plots" / "looks").items()
    assert title == "toy-grid, seed 0, 8 steps"
    looks = watchdog.read_looks(tmp_path / "run" / "looks.jsonl")
    assert course["step"].tolist() == [2, 4, 6, 8]
    assert course["coverage"].tolist() == [look.coverage for look in looks]
    assert course["density, up to 1"].max() <= 1
    save_curves(tmp_path / "watchdog.png", {title: course})
    assert (tmp_path / "watchdog.png").stat().st_size > 1000


def test_no_photograph_gets_into_a_report(tmp_path: Path) -> None:
    """The grids of a system that turns pictures into others show those, too."""
    spec = "idl-ex6-pix2pix@size=64,width=8"
    assert get(spec).card.condition
    run = train(
        RunConfig(spec, 0, 1, steps=2, sample_every=1, sample_count=2, tensorboard=False, workers=0), tmp_path / "run"
    )
    assert len(list((tmp_path / "run" / "samples").glob("step-*.png"))) > 1
    keep_course(run, spec, tmp_path / "plots")
    assert not list((tmp_path / "plots").glob("*.gif"))
