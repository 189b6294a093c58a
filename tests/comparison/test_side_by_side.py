from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.comparison.side_by_side import read_side, write_side_by_side
from harness.files.figures import figure, rendered, save_picture
from harness.records.record import append_record
from harness.training import RunConfig, train
from tests.records.test_record import record


def report(folder: Path, values: list[float], *pictures: str) -> Path:
    for seed, value in enumerate(values):
        append_record(
            folder / "records.jsonl", record(metric="fid", value=value, seed=seed, better="lower", headline=True)
        )
    for name in pictures:
        save_picture(folder / "plots" / f"{name}.png", rendered(figure(1, 1)))
    return folder


def test_two_reports_show_their_pictures_their_verdicts_and_their_seeds(tmp_path: Path) -> None:
    base = report(tmp_path / "base", [10.0, 11.0, 12.0], "quality", "modes")
    candidate = report(tmp_path / "candidate", [10.0, 11.0, 12.0], "quality")
    page = write_side_by_side(base, candidate, tmp_path / "out").read_text()
    assert "quality, before: " in page
    assert "quality, after: " in page
    assert f"modes: only {base} has such a picture" in page
    assert ">kept (the same values for the same seeds)<" in page
    assert (tmp_path / "out" / "points.png").is_file()


def test_two_trainings_show_their_samples_and_losses(toy_config: Callable[..., RunConfig], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        train(toy_config(seed=seed, steps=3, sample_every=1), tmp_path / name)
    page = write_side_by_side(tmp_path / "a", tmp_path / "b", tmp_path / "out").read_text()
    assert "the last samples, before: " in page
    assert (tmp_path / "out" / "losses.png").is_file()
    assert "No verdict: there is nothing to compare" in page


def test_what_is_no_run_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no records"):
        read_side(tmp_path)
