from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch waits a tenth of a second, not five, for each worker that doesn't end by itself."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
