"""What the harness's own extractors are trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.data import faces
from harness.data.images import Framing
from harness.data.mnist import Mnist, Split, published_fingerprint
from harness.data.registry import mnist_root
from harness.data.synthetic import FACES_TITLE
from harness.evaluation.extractors.train import LabelledImages

_DRAWN, _HELD_OUT = 4096, 512
_SEED, _HELD_OUT_SEED = 1, 2  # the stand-in for CelebA is drawn with 0


@dataclass(frozen=True)
class ExtractorData:
    """Images to learn from and others that are held out; `make` reads or draws them. `fingerprint` says which."""

    title: str
    fingerprint: str
    epochs: int
    make: Callable[[], tuple[LabelledImages, LabelledImages]]


def _mnist(root: Path | None) -> ExtractorData:
    def images_of(split: Split) -> LabelledImages:
        found = mnist_root(root)
        data = Mnist(found, (1, 28, 28), (0.0, 1.0), split) if found else None
        if data is None or not data.complete:
            there = f"{found} holds {data.title}" if data else "no data root holds it"
            raise ValueError(f"to train the extractor mnistnet takes MNIST as published, and {there}")
        return LabelledImages(data.images, data.labels)

    return ExtractorData("MNIST", published_fingerprint("train"), 10, lambda: (images_of("train"), images_of("test")))


def _faces(_: Path | None) -> ExtractorData:
    def images_of(seed: int, n: int) -> LabelledImages:
        framing = Framing((3, 64, 64))
        attributes = [faces.draw_attributes(seed, index) for index in range(n)]
        images = [framing(faces.draw_face(drawn, seed, index)) for index, drawn in enumerate(attributes)]
        values = [[float(drawn[name]) for name in faces.FREQUENCIES] for drawn in attributes]
        return LabelledImages(torch.stack(images), torch.tensor(values))

    fingerprint = f"faces-{faces.FACES_VERSION}-{_DRAWN}"
    return ExtractorData(
        FACES_TITLE, fingerprint, 12, lambda: (images_of(_SEED, _DRAWN), images_of(_HELD_OUT_SEED, _HELD_OUT))
    )


EXTRACTOR_DATA: dict[str, Callable[[Path | None], ExtractorData]] = {
    "mnistnet": _mnist,
    "facesnet": _faces,
}
