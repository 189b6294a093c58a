"""What stands in for data that aren't there: drawn once and kept, or drawn into a folder of the user's."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from PIL import Image

from harness.data import content_and_style, faces, image_folder, lsun, pairs
from harness.files.cache import made_once
from harness.files.writing import write_folder
from harness.records.progress import report_progress

DRAWN_FACES = 1024
DRAWN_PAIRS = 96
FACES_TITLE = "stand-in: drawn faces"
DATABASE_TITLE = "stand-in: drawn faces in an LMDB"
PAIRS_TITLE = "stand-in: drawn faces and their outlines"
PICTURES_TITLE = "stand-in: a drawn face and drawn strokes"
MARK = "STAND-IN"  # a file beside a drawn data set: it says that these aren't the real data
_LSUN_SIDE = 256  # LSUN's pictures are that long on their shorter side, and WebP

_Writer = Callable[[Path, int, int], None]
_log = logging.getLogger(__name__)


def drawn_faces() -> Path:
    """The data root of CelebA's stand-in."""
    return made_once(
        f"faces-{faces.FACES_VERSION}-{DRAWN_FACES}", lambda folder: faces.write_faces(folder, DRAWN_FACES, seed=0)
    )


def faces_in_a_database() -> Path:
    """The data root of LSUN's stand-in: the same faces, the same bytes."""

    def encoded() -> Iterator[tuple[bytes, bytes]]:
        for file in sorted((drawn_faces() / image_folder.FOLDER).iterdir()):
            yield file.stem.encode(), file.read_bytes()

    return made_once(
        f"lmdb-{faces.FACES_VERSION}-{DRAWN_FACES}", lambda folder: lsun.write_lmdb(folder / lsun.FOLDER, encoded())
    )


def drawn_pairs() -> Path:
    """The data root of the stand-in for pairs."""
    return made_once(
        f"pairs-{pairs.PAIRS_VERSION}-{faces.FACES_VERSION}-{DRAWN_PAIRS}",
        lambda folder: pairs.write_drawn_pairs(folder, DRAWN_PAIRS, seed=0),
    )


def drawn_pictures() -> Path:
    """The data root of the stand-in for content and style."""
    return made_once(
        f"pictures-{content_and_style.STYLE_VERSION}-{faces.FACES_VERSION}", content_and_style.write_drawn_pictures
    )


def draw_into(root: Path, kind: str, n: int, seed: int) -> Path:
    """Draw `n` samples in the real layout of a data set below `root`, and mark them; the folder that was made.

    Raises:
        ValueError: an unknown kind, fewer than one sample, or there is such a data set already.
    """
    if kind not in DRAWN:
        raise ValueError(f"unknown data {kind!r}; there are: {', '.join(DRAWN)}")
    if n < 1:
        raise ValueError(f"-n must be 1 or more, not {n}")
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more, not {seed}")
    folder, title, write = DRAWN[kind]
    top = root / folder.parts[0]
    if top.exists():
        raise ValueError(f"{top} is there already: nothing is deleted")

    def fill(made: Path) -> None:
        write(made, n, seed)
        for entry in (made / top.name).iterdir():  # written as below a data root
            entry.rename(made / entry.name)
        (made / top.name).rmdir()
        (made / MARK).write_text(f"{title}\n", encoding="utf-8")

    write_folder(top, fill)
    return root / folder


def title_of(folder: Path) -> str | None:
    """What stands in at `folder`, the top of a data set below a data root; None for anything that isn't marked."""
    mark = folder / MARK
    return mark.read_text(encoding="utf-8").strip() if mark.is_file() else None


def _write_lsun_like(root: Path, n: int, seed: int) -> None:
    """Drawn faces as LSUN has its bedrooms: WebP of 256 pixels on the shorter side, under 40 hexadecimal digits."""

    def encoded() -> Iterator[tuple[bytes, bytes]]:
        width, height = faces.SIZE
        size = (_LSUN_SIDE, round(_LSUN_SIDE * height / width))
        for index in range(n):
            face = faces.draw_face(faces.draw_attributes(seed, index), seed, index)
            buffer = io.BytesIO()
            face.resize(size, Image.Resampling.BICUBIC).save(buffer, "WEBP")
            yield hashlib.sha1(b"%d %d" % (seed, index)).hexdigest().encode(), buffer.getvalue()
            report_progress(_log, "drawing faces for a database", index + 1, n)

    lsun.write_lmdb(root / lsun.FOLDER, encoded())


DRAWN: Mapping[str, tuple[Path, str, _Writer]] = {
    "faces": (image_folder.FOLDER, FACES_TITLE, faces.write_faces),
    "lsun-like": (lsun.FOLDER, DATABASE_TITLE, _write_lsun_like),
    "pairs": (pairs.FOLDER, PAIRS_TITLE, pairs.write_drawn_pairs),
}
