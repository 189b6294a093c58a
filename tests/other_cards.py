"""A plugin of pytest's for tests: each process that joins a run finds another card, named after its mask."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
import torch

from harness.records.environment import environment


def _another(device: torch.device) -> dict[str, Any]:
    return environment(device) | {"device": f"card {os.environ['CUDA_VISIBLE_DEVICES']}"}


if "--joins" in sys.argv:
    pytest.MonkeyPatch().setattr("harness.reporting.recorder.environment", _another)
