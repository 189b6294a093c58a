"""Arrays with titles, kept in a folder until somebody draws them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.files.writing import appearing


def keep_array(folder: Path, title: str, array: NDArray[Any], place: int = 0) -> None:
    """Put one more array into `folder`, which is made, after those of smaller places and of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob(f"{place:06}-*.npz")))
    with appearing(folder / f"{place:06}-{number:04}.npz") as stream:
        np.savez(stream, title=np.array(title), array=array)


def kept_arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays in `folder` by title, in their order; none where there is no folder."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as content:
            found[str(content["title"])] = content["array"]
    return found
