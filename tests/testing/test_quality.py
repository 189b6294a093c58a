from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from harness.data import open_data
from harness.testing import assert_kept, measure_images
from reference import get

BEFORE = [{"fid": 10 + 0.1 * k, "precision": 0.6, "loss": 1.0} for k in range(5)]


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_HARNESS_SAVE_BASELINE", "1")
    assert_kept(BEFORE, tmp_path / "baseline.json")
    monkeypatch.delenv("GAN_HARNESS_SAVE_BASELINE")
    return tmp_path / "baseline.json"


def test_the_baseline_names_its_commit(baseline: Path) -> None:
    kept = json.loads(baseline.read_text())
    assert kept["figures"] == BEFORE
    assert len(kept["revision"].split(",")[0]) in (0, 40)


def test_the_same_and_the_better_are_kept(baseline: Path) -> None:
    assert_kept(BEFORE, baseline)
    assert_kept([{"fid": 5 + 0.1 * k, "precision": 0.9} for k in range(5)], baseline)


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (
            [{"fid": 12 + 0.1 * k, "precision": 0.6} for k in range(5)],
            r"worse than baseline.json of .*: fid \+2 \(p = ",
        ),
        ([{"fid": 10 + 0.1 * k, "precision": 0.5 - 0.01 * k} for k in range(5)], "precision -0.12"),
    ],
)
def test_what_got_worse_is_named_by_how_much(here: list[dict[str, float]], said: str, baseline: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        assert_kept(here, baseline)


def test_too_little_to_tell_is_no_answer(baseline: Path) -> None:
    with pytest.raises(ValueError, match=r"5 seeds in baseline.json and 2 here can't tell anything of 2 metrics"):
        assert_kept(BEFORE[:2], baseline)
    with pytest.raises(ValueError, match="no metric in common with these: loss"):
        assert_kept([{"loss": 1.0}] * 5, baseline)
    with pytest.raises(ValueError, match="run once with GAN_HARNESS_SAVE_BASELINE=1"):
        assert_kept(BEFORE, baseline.with_name("none.json"))
    with pytest.raises(ValueError, match="there are no figures"):
        assert_kept([], baseline)


def test_digits_against_digits_and_against_noise() -> None:
    data = open_data(get("mlp-gan-mnist"), None)
    digits = data[torch.arange(0, 600, 2)].data.view(-1, 1, 28, 28)
    others = data[torch.arange(1, 601, 2)].data.view(-1, 1, 28, 28)
    noise = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    good, bad = (measure_images(made, digits, extractor="mnistnet") for made in (others, noise))
    assert good["fid"] < bad["fid"] / 5
    assert {"fid", "kid", "precision", "recall"} <= good.keys()
    with pytest.raises(ValueError, match="can't be compared"):
        measure_images(noise[..., :20], digits, extractor="mnistnet")
