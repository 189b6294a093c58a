from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from harness.loading.copies import Copies


def test_pictures_are_stored_once_on_each_disk_and_taken_away(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with ExitStack() as stack:
        copies = Copies(None, 12, 16, tmp_path / "own", stack)
        assert (copies.title.startswith("stand-in: "), copies.real, len(copies.files)) == (True, False, 12)
        first = copies.on(None)
        assert copies.on(None) is first
        assert copies.on(other) is not first
        assert first.samples == copies.on(other).samples == 12
        assert [len(list(folder.iterdir())) for folder in (tmp_path / "own", other)] == [1, 1]
    assert [list(folder.iterdir()) for folder in (tmp_path / "own", other)] == [[], []]
