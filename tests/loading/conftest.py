"""What several files of these tests use."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.records.report_folder import Asked
from harness.reporting.recorder import Recorder

CELEBA, LSUN, MLP = "handson-dcgan-celeba", "handson-dcgan-lsun", "mlp-gan-mnist"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "report", "tables", torch.device("cpu"), Asked((CELEBA,)))


@pytest.fixture
def write(recorder: Recorder) -> Any:
    return partial(recorder.record, "loading")
