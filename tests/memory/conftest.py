"""What several files of these tests use."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.memory import batch_size
from harness.memory.estimate import Estimate, estimate
from harness.records.report_folder import Asked
from harness.reporting.recorder import Recorder
from reference import Reference

_estimates: dict[tuple[str, int], Estimate] = {}
MLP, DCGAN = "mlp-gan-mnist", "handson-dcgan-mnist"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "report", "tables", torch.device("cpu"), Asked((MLP,)))


@pytest.fixture
def write(recorder: Recorder) -> Any:
    return partial(recorder.record, "memory")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))


@pytest.fixture
def estimates_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches ask for the same batches again and again: each is estimated once."""
    monkeypatch.setattr(batch_size, "estimate", estimate_once)


def estimate_once(reference: Reference, batch: int) -> Estimate:
    key = (repr(reference), batch)
    if key not in _estimates:
        _estimates[key] = estimate(reference, batch)
    return _estimates[key]
