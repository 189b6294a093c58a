"""What the harness's own extractors are trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.data import faces
from harness.data.catalogue import mnist_root
from harness.data.mnist import Mnist, Split
from harness.data.pictures import Framing
from harness.data.stand_ins import DIGITS_TITLE, FACES_TITLE, digits_root
from harness.evaluation.extractors.recipes import Lesson

_DRAWN, _HELD_OUT = 4096, 512
_SEED, _HELD_OUT_SEED = 1, 2  # the stand-in for CelebA is drawn with 0


@dataclass(frozen=True)
class Lessons:
    """Images to learn from and others to be examined on; `make` reads or draws them. `fingerprint` says which."""

    title: str
    fingerprint: str
    epochs: int
    make: Callable[[], tuple[Lesson, Lesson]]


def _mnist(root: Path | None) -> Lessons:
    found = mnist_root(root)
    if found is None:
        raise ValueError("the extractor mnistnet needs MNIST, and no data root holds it; digitsnet is its stand-in")
    return _from(found, None, epochs=10)


def _digits(_: Path | None) -> Lessons:
    return _from(digits_root(), DIGITS_TITLE, epochs=60)


def _from(root: Path, stand_in: str | None, epochs: int) -> Lessons:
    def opened(split: Split) -> Mnist:
        return Mnist(root, (1, 28, 28), (0.0, 1.0), split, stand_in)

    def lesson(split: Split) -> Lesson:
        data = opened(split)
        return Lesson(data.images, data.labels)

    train = opened("train")
    return Lessons(train.title, train.fingerprint, epochs, lambda: (lesson("train"), lesson("test")))


def _faces(_: Path | None) -> Lessons:
    def lesson(seed: int, n: int) -> Lesson:
        framing = Framing((3, 64, 64))
        attributes = [faces.draw_attributes(seed, index) for index in range(n)]
        images = [framing(faces.draw_face(drawn, seed, index)) for index, drawn in enumerate(attributes)]
        values = [[float(drawn[name]) for name in faces.FREQUENCIES] for drawn in attributes]
        return Lesson(torch.stack(images), torch.tensor(values))

    fingerprint = f"faces-{faces.VERSION}-{_DRAWN}"
    return Lessons(FACES_TITLE, fingerprint, 12, lambda: (lesson(_SEED, _DRAWN), lesson(_HELD_OUT_SEED, _HELD_OUT)))


LESSONS: dict[str, Callable[[Path | None], Lessons]] = {"mnistnet": _mnist, "digitsnet": _digits, "facesnet": _faces}
