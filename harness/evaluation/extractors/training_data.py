"""What the harness's own extractors are trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from harness.data import faces, image_folder
from harness.data.images import Framing
from harness.data.mnist import Mnist, Split, published_fingerprint
from harness.data.registry import mnist_root
from harness.data.synthetic import FACES_TITLE
from harness.evaluation.extractors.train import LabelledImages
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)

_DRAWN, _HELD_OUT = 4096, 512
_SEED, _HELD_OUT_SEED = 1, 2  # the stand-in for CelebA is drawn with 0
_READ_AT_ONCE = 500
_PHOTOGRAPHS, _OF_THEM_TRAINED = 20_000, 16_000  # CelebA's first, by number: of its published training part


@dataclass(frozen=True)
class ExtractorData:
    """Images to `learn` from and others that are `held_out`, read or drawn when asked for. `fingerprint` says which."""

    title: str
    fingerprint: str
    epochs: int
    learn: Callable[[], LabelledImages]
    held_out: Callable[[], LabelledImages]


def _mnist(root: Path | None) -> ExtractorData:
    def images_of(split: Split) -> LabelledImages:
        found = mnist_root(root)
        data = Mnist(found, (1, 28, 28), (0.0, 1.0), split) if found else None
        if data is None or not data.complete:
            there = f"{found} holds {data.title}" if data else "no data root holds it"
            raise ValueError(f"to train the extractor mnistnet takes MNIST as published, and {there}")
        return LabelledImages(data.images, data.labels)

    return ExtractorData(
        "MNIST", published_fingerprint("train"), 10, partial(images_of, "train"), partial(images_of, "test")
    )


def _faces(_: Path | None) -> ExtractorData:
    def images_of(seed: int, n: int) -> LabelledImages:
        framing = Framing((3, 64, 64))
        attributes = [faces.draw_attributes(seed, index) for index in range(n)]
        images = [framing(faces.draw_face(drawn, seed, index)) for index, drawn in enumerate(attributes)]
        values = [[float(drawn[name]) for name in faces.FREQUENCIES] for drawn in attributes]
        return LabelledImages(torch.stack(images), torch.tensor(values))

    fingerprint = f"faces-{faces.FACES_VERSION}-{_DRAWN}"
    learn, held_out = partial(images_of, _SEED, _DRAWN), partial(images_of, _HELD_OUT_SEED, _HELD_OUT)
    return ExtractorData(FACES_TITLE, fingerprint, 12, learn, held_out)


@dataclass(frozen=True)
class Photographs:
    """CelebA's first 20,000 pictures at 64×64: `celebanet` learns from the first 16,000, the others are held out.

    `attributes` (20000, 40) says what they show; `trained` and `held_out` are their places in `data`.
    """

    data: image_folder.ImageFolder
    attributes: Tensor
    trained: Tensor
    held_out: Tensor

    @classmethod
    def below(cls, root: Path | None) -> Photographs:
        """Those of a data root.

        Raises:
            ValueError: there are none, or not these.
        """
        folder = root / image_folder.FOLDER if root else None
        wanted = {0: "000001.jpg", _PHOTOGRAPHS - 1: f"{_PHOTOGRAPHS:06}.jpg"}
        lacking = f"celebanet is about CelebA's pictures {' to '.join(wanted.values())}, and"
        if folder is None or not folder.is_dir():
            raise ValueError(f"{lacking} {folder or 'no data root'} holds none of them")
        data = image_folder.ImageFolder(folder, (3, 64, 64), (0.0, 1.0))
        if len(data) < _PHOTOGRAPHS or any(data.name(place) != name for place, name in wanted.items()):
            raise ValueError(f"{lacking} {folder} holds others")
        listed = image_folder.read_attributes(folder.parent.parent / image_folder.ATTRIBUTES)
        known = dict(zip(listed.files, listed.values, strict=True))
        values = torch.stack([known[data.name(place)] for place in range(_PHOTOGRAPHS)])
        places = torch.arange(_PHOTOGRAPHS)
        return cls(data, values, places[:_OF_THEM_TRAINED], places[_OF_THEM_TRAINED:])

    def images(self, places: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) as uint8; the log says how many have been read."""
        parts = []
        for some in torch.split(places, _READ_AT_ONCE):
            parts.append(self.data.pixels(some).data)
            report_progress(_log, "reading faces", sum(map(len, parts)), len(places))
        return torch.cat(parts)


def _celeba(root: Path | None) -> ExtractorData:
    def images_of(part: Literal["trained", "held_out"]) -> LabelledImages:
        faces = Photographs.below(root)
        places: Tensor = getattr(faces, part)
        return LabelledImages(faces.images(places), faces.attributes[places].float())

    fingerprint = f"celeba-000001-{_OF_THEM_TRAINED:06}"
    title = f"CelebA, {_OF_THEM_TRAINED:,} of 202,599"
    return ExtractorData(title, fingerprint, 15, partial(images_of, "trained"), partial(images_of, "held_out"))


EXTRACTOR_DATA: dict[str, Callable[[Path | None], ExtractorData]] = {
    "mnistnet": _mnist,
    "celebanet": _celeba,
    "facesnet": _faces,
}
