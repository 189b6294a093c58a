from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.cli.__main__ import main
from harness.data.image_folder import HIGH_QUALITY_FOLDER
from tests.data.samples import write_pictures


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch waits a tenth of a second, not five, for each worker that doesn't end by itself."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder of a data root that holds five pictures."""
    return write_pictures(tmp_path / "root" / HIGH_QUALITY_FOLDER, 5)


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a mistake gets."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["gan-harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == 2, line
        assert line.startswith("gan-harness: ")
        return str(line)

    return run
