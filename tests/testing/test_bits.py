from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.testing import assert_same_bits
from tests.testing import trainings


@pytest.mark.parametrize("train", [trainings.right, trainings.leaving_files])
def test_what_is_right_passes(train: Any, tmp_path: Path) -> None:
    assert_same_bits(train, tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"first", "again", "other", "fresh"}


def test_a_training_that_resumes_is_killed_and_goes_on(tmp_path: Path) -> None:
    assert_same_bits(trainings.resuming, tmp_path, steps=30, fresh=False, resumes=True)


@pytest.mark.parametrize(
    ("train", "options", "said"),
    [
        (trainings.unsteady, {}, "trained again: other bits, first in network.bias \\(1 of 4 tensors differ\\)"),
        (trainings.without_its_seed, {}, "seeds 0 and 1 give the same bits: train\\(\\) doesn't use its seed"),
        (trainings.other_in_another_process, {}, "in a fresh process: other bits, first in pid \\(1 of 2 tensors"),
        (trainings.failing_in_another_process, {}, "a training in another process failed: RuntimeError: not here"),
        (trainings.resuming_wrongly, {"steps": 30, "fresh": False, "resumes": True}, "killed and resumed: other bits"),
        (trainings.right, {"fresh": False, "resumes": True}, "nothing was left in the folder"),
        (trainings.resuming, {"steps": 60, "timeout": 0.2}, "in another process took more than 0.2 s"),
    ],
)
def test_what_is_wrong_is_one_line(train: Any, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        assert_same_bits(train, tmp_path, **options)


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"returns nothing that decides, and leaves no .pt, .pth or .safetensors"):
        assert_same_bits(trainings.saying_nothing, tmp_path / "a")
    with pytest.raises(ValueError, match=r"another process can't import .*fresh=False"):
        assert_same_bits(lambda seed, *_: torch.tensor([seed]), tmp_path / "b")
    assert_same_bits(lambda seed, *_: torch.tensor([seed]), tmp_path / "c", fresh=False)
