"""What several files of these tests use."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.reporting.recorder import Recorder

MLP, DCGAN = "mlp-gan-mnist", "handson-dcgan-mnist"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "report", "tables", torch.device("cpu"), {"specs": [MLP], "modules": []})


@pytest.fixture
def write(recorder: Recorder) -> Any:
    return partial(recorder.record, "memory")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
