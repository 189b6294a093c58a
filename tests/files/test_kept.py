from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.files.kept import keep_array, kept_arrays


def test_arrays_come_back_by_title_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "plots" / "densities"
    assert kept_arrays(folder) == {}
    titles = ("idl-gan-grid, seed 10", "a/b@c=1, seed 2", "模式")
    for number, title in enumerate(titles):
        keep_array(folder, title, np.full((2, 3), number, np.float32))
    found = kept_arrays(folder)
    assert tuple(found) == titles
    assert [array.dtype for array in found.values()] == [np.float32] * 3
    assert [float(array.mean()) for array in found.values()] == [0, 1, 2]
