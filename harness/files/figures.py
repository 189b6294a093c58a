"""Drawing without a screen: matplotlib figures as pixels, pixels as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]


def figure(width: float, height: float) -> Any:
    """A matplotlib figure that needs no screen and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(made)
    return made


def rendered(drawn: Any) -> Picture:
    """The pixels of a figure."""
    drawn.canvas.draw()
    return np.asarray(drawn.canvas.buffer_rgba())[..., :3].copy()


def save_picture(path: Path, picture: Picture) -> None:
    """Write as PNG, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    Image.fromarray(picture).save(temporary, format="PNG")
    temporary.replace(path)
