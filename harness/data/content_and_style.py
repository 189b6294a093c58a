"""The two pictures of a style transfer: `style/content.*` and `style/style.*`, or two drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from harness.data.content import digest_of_files
from harness.data.dataset import scale_pixels
from harness.data.faces import draw_attributes, draw_face
from harness.data.images import Framing, picture_files, read_rgb
from reference import Batch

FOLDER = Path("style")
STYLE_VERSION = 1


class ContentAndStyle:
    """One sample: `data` is the content (1, 3, S, S), `condition` the style.

    Raises:
        ValueError: one of the two pictures is missing, there twice, or can't be decoded.
    """

    in_memory = True
    complete = True

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        value_range: tuple[float, float],
        title: str = "two pictures",
        real: bool = True,
    ) -> None:
        self.title = title
        self.real = real
        files = [_one(folder, name) for name in ("content", "style")]
        self.fingerprint = f"content-and-style-{digest_of_files(folder, files)}"
        framing = Framing(shape)
        content, style = (scale_pixels(framing(read_rgb(file)), value_range).unsqueeze(0) for file in files)
        self._batch = Batch(content, None, style)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, indices: Tensor) -> Batch:
        assert self._batch.condition is not None
        return Batch(self._batch.data[indices], None, self._batch.condition[indices])


def write_drawn_pictures(root: Path) -> None:
    """Write a drawn face as the content and a pattern of coloured strokes as the style."""
    (root / FOLDER).mkdir(parents=True)
    draw_face(draw_attributes(0, 0), 0, 0).save(root / FOLDER / "content.png")
    random = np.random.default_rng(0)
    image = Image.new("RGB", (256, 256), (40, 60, 120))
    draw = ImageDraw.Draw(image)
    for _ in range(400):
        x, y, length, angle = random.random(4) * (256, 256, 40, 2 * np.pi)
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        red, green, blue = (int(value) for value in random.integers((120, 80, 20), (255, 220, 140)))
        draw.line(((x, y), end), fill=(red, green, blue), width=int(random.integers(3, 9)))
    image.save(root / FOLDER / "style.png")


def _one(folder: Path, name: str) -> Path:
    found = [file for file in picture_files(folder) if file.stem == name]
    if len(found) != 1:
        raise ValueError(f"{folder} must hold one picture called {name}.jpg or {name}.png, and holds {len(found)}")
    return found[0]
