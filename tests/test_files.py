from __future__ import annotations

from pathlib import Path

import pytest

from harness.files import write_folder, write_text


def test_text_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    write_text(target, "one")
    write_text(target, "two")
    assert target.read_text() == "two"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_a_failed_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_folder(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    def first(folder: Path) -> None:
        (folder / "who").write_text("first")

    def rival(folder: Path) -> None:
        (folder / "who").write_text("second")
        write_folder(tmp_path / "made", first)

    write_folder(tmp_path / "made", rival)
    assert (tmp_path / "made" / "who").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]
