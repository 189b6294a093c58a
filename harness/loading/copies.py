"""The pictures that loading is measured on, in every format, once on each disk."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from harness.data.dataset import linspace_indices
from harness.data.image_folder import FOLDER
from harness.data.images import picture_files
from harness.data.registry import faces_root
from harness.loading.measure import Stored, store


class Copies:
    """`most` pictures of the data root's faces, or of their stand-in, stored where they are first asked for.

    Args:
        own: the folder for those on this machine's disk.
        stack: takes the copies away when it closes.
    """

    def __init__(self, root: Path | None, most: int, side: int, own: Path, stack: ExitStack) -> None:
        faces, self.title, self.real = faces_root(root)
        files = picture_files(faces / FOLDER)
        self.files = [files[index] for index in linspace_indices(len(files), most).tolist()]
        self.side, self.own, self.stack = side, own, stack
        self.stored: dict[Path | None, Stored] = {}

    def on(self, place: Path | None) -> Stored:
        """The copies on the disk that `place` lies on; None is this machine's."""
        if place not in self.stored:
            on = place or self.own
            on.mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(prefix="gan-harness-loading-", dir=on)
            self.stored[place] = store(self.files, Path(self.stack.enter_context(made)), self.side)
        return self.stored[place]
