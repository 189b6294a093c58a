from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.data.content_and_style import FOLDER, ContentAndStyle, write_drawn_pictures


def test_the_two_pictures_are_content_and_style(tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), (255, 0, 0)).save(tmp_path / "content.jpg", quality=100)
    Image.new("RGB", (60, 90), (0, 0, 255)).save(tmp_path / "style.png")
    data = ContentAndStyle(tmp_path, (3, 32, 32), (0, 1))
    batch = data[torch.tensor([0])]
    assert batch.condition is not None
    assert len(data) == 1
    assert batch.data[0, 0].min() > 0.98
    assert torch.equal(batch.condition[0, 2], torch.ones(32, 32))


def test_a_missing_or_double_picture_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "content.jpg")
    with pytest.raises(ValueError, match=r"one picture called style\.jpg or style\.png, and holds 0"):
        ContentAndStyle(tmp_path, (3, 32, 32), (0, 1))
    Image.new("RGB", (8, 8)).save(tmp_path / "content.png")
    with pytest.raises(ValueError, match=r"one picture called content.*holds 2"):
        ContentAndStyle(tmp_path, (3, 32, 32), (0, 1))


def test_drawn_pictures_differ(tmp_path: Path) -> None:
    write_drawn_pictures(tmp_path)
    batch = ContentAndStyle(tmp_path / FOLDER, (3, 64, 64), (0, 1))[torch.tensor([0])]
    assert batch.condition is not None
    assert (batch.data - batch.condition).abs().mean() > 0.1
