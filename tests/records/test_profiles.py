"""What the profiles leave out on a GPU, asked of the suites' own functions with a stand-in for the session."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.memory.measure import Cell, Measured
from harness.records.profiles import get_profile
from harness.suite.subject import Subject
from harness.training.device import IS_DETERMINISTIC
from suites import test_determinism, test_memory

DETERMINISTIC, DOCUMENTED = IS_DETERMINISTIC
DCGAN, MLP = "handson-dcgan-mnist", "mlp-gan-mnist"
TABLED = [128, 256, 512, 1024, 2048]


def session(profile: str) -> Any:
    return SimpleNamespace(
        device=torch.device("cuda"),
        profile=get_profile(profile),
        record=None,
        root=None,
        settings=SimpleNamespace(modules=()),
    )


@pytest.mark.parametrize(
    ("profile", "spec", "numerics", "sizes"),
    [
        ("smoke", DCGAN, DOCUMENTED, TABLED),
        ("smoke", DCGAN, DETERMINISTIC, [128]),
        ("smoke", MLP, DOCUMENTED, [100]),
        ("smoke", MLP, DETERMINISTIC, []),
        ("documented", MLP, DETERMINISTIC, [100]),
        ("documented", DCGAN, DETERMINISTIC, TABLED),
    ],
)
def test_smoke_measures_the_price_of_determinism_at_one_size(
    profile: str, spec: str, numerics: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def record_cell(_: object, cell: Cell, *__: object) -> Measured:
        asked.append(cell.batch_size)
        return Measured(ended="out of memory")

    monkeypatch.setattr(test_memory, "record_cell", record_cell)
    monkeypatch.setattr(test_memory, "record_epoch_ratio", lambda *_: None)
    with contextlib.suppress(pytest.skip.Exception):
        opened = session(profile)
        test_memory.test_cells(Subject(opened, spec), numerics, opened)
    assert asked == sizes


def test_smoke_trains_twice_in_deterministic_mode_alone(tmp_path: Path) -> None:
    opened = session("smoke")
    with pytest.raises(pytest.skip.Exception, match="the profile smoke trains twice in deterministic mode alone"):
        test_determinism.test_same_bits(Subject(opened, MLP), DOCUMENTED, opened, tmp_path)
