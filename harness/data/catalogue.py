"""From a card's data set to data: the real set where the data root has it, else its bundled stand-in, named as such."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import platformdirs

from harness.data import content_and_style, faces, image_folder, lsun, mnist, pairs
from harness.data.dataset import Dataset
from harness.data.erasing import Erased
from harness.data.grid import GaussianGrid
from harness.files import write_folder
from reference import Card, Shape

Range = tuple[float, float]

ROOT_VARIABLE = "GAN_HARNESS_DATA"
CACHE_VARIABLE = "GAN_HARNESS_CACHE"
DRAWN_FACES = 1024
DRAWN_PAIRS = 96
DIGITS_TITLE = "stand-in: scikit-learn digits"
FACES_TITLE = "stand-in: drawn faces"
PACKED_FACES_TITLE = "stand-in: drawn faces in an LMDB"
PAIRS_TITLE = "stand-in: drawn faces and their outlines"
PICTURES_TITLE = "stand-in: a drawn face and drawn strokes"


class MissingAttributesError(ValueError):
    """The faces are there, and the file that says what they show isn't: document 000 asks for the pictures alone."""


@dataclass(frozen=True)
class Availability:
    """Whether the real data set is there, where it was looked for, and what is used otherwise."""

    dataset: str
    found: bool
    place: str
    otherwise: str


@dataclass(frozen=True)
class _Source:
    """Where a data set lies below the data root, what stands in for it, and how either is opened.

    `opened` gets a root that holds `folder`, the shape and range asked for, and the stand-in's title, None for the real
    data. `shape` is one that the data can be given in, `samples` how many the real set has for training, None where
    that is the user's affair.
    """

    folder: Path
    otherwise: str
    stand_in: Callable[[], Path]
    opened: Callable[[Path, Shape, Range, str | None], Dataset]
    shape: Shape = (3, 64, 64)
    samples: int | None = None

    def at(self, root: Path | None) -> Path | None:
        """The data root, if it holds this data set."""
        return root if root is not None and (root / self.folder).is_dir() else None

    def open(self, card: Card, root: Path | None) -> Dataset:
        """The real data, or the stand-in."""
        found = self.at(root)
        if found is None:
            return self.opened(self.stand_in(), card.data_shape, card.data_range, self.otherwise)
        dataset = self.opened(found, card.data_shape, card.data_range, None)
        labels = getattr(dataset, "labels", None)
        if card.classes and labels is not None and int(labels.max()) >= card.classes:
            raise ValueError(
                f"{found / self.folder} holds the label {int(labels.max())}; {card.name} knows 0 to {card.classes - 1}"
            )
        return dataset


def data_root(given: Path | None) -> Path | None:
    """The data root asked for, else that of GAN_HARNESS_DATA, else None.

    Raises:
        ValueError: the folder named isn't there, or holds none of the data sets.
    """
    named = given or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)
    if named is not None and not named.is_dir():
        raise ValueError(f"the data root {named} isn't a folder")
    if named is not None and not any(source.at(named) for source in _SOURCES.values()):
        places = ", ".join(dict.fromkeys(str(source.folder) for source in _SOURCES.values()))
        raise ValueError(f"the data root {named} holds none of: {places}")
    return named


def cache_folder() -> Path:
    """Where stand-ins are kept between runs: GAN_HARNESS_CACHE, else the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("gan-harness"))


def open_dataset(card: Card, root: Path | None) -> Dataset:
    """The training data that `card` asks for, in its shape and range.

    Raises:
        ValueError: the card's data set is unknown, or its files are damaged.
    """
    match card.dataset:
        case "gaussian-grid":
            if card.data_shape != (2,):
                raise ValueError(f"the Gaussian grid holds points of shape (2,), not {card.data_shape}")
            return GaussianGrid()
        case name if name in _SOURCES:
            return _SOURCES[name].open(card, root)
        case name:
            choices = ", ".join(sorted([*_SOURCES, "gaussian-grid"]))
            raise ValueError(f"{card.name} asks for the data set {name!r}; there are: {choices}")


def documented_samples(card: Card) -> int | None:
    """How many training samples the real data set of a card has; None where nobody says."""
    if card.dataset == "gaussian-grid":
        return len(GaussianGrid())
    source = _SOURCES.get(card.dataset)
    return source.samples if source else None


def has_real_data(card: Card, root: Path | None) -> bool:
    """Whether the data root holds the card's data set; what is computed is always real."""
    source = _SOURCES.get(card.dataset)
    return source is None or source.at(root) is not None


def availability(root: Path | None) -> list[Availability]:
    """What `doctor` says of each data set."""
    looked = [_look(root, name, source) for name, source in _SOURCES.items() if name not in _DERIVED]
    return [*looked, Availability("gaussian-grid", True, "computed", "nothing else is needed")]


def faces_with_attributes(root: Path | None) -> tuple[Path, image_folder.Attributes, str, bool]:
    """The folder that holds CelebA or its stand-in, its attributes, its title, and whether it is real.

    Raises:
        MissingAttributesError: there is no attribute file.
        ValueError: it is damaged.
    """
    source = _SOURCES["celeba"]
    found = source.at(root)
    at = source.stand_in() if found is None else found
    if not (at / image_folder.ATTRIBUTES).is_file():
        raise MissingAttributesError(
            f"{at} has no {image_folder.ATTRIBUTES}: without it no attribute of its faces is known"
        )
    title = FACES_TITLE if found is None else "CelebA"
    return at, image_folder.read_attributes(at / image_folder.ATTRIBUTES), title, found is not None


def mnist_root(root: Path | None) -> Path | None:
    """The data root, if it holds MNIST."""
    return _SOURCES["mnist"].at(root)


def _look(root: Path | None, name: str, source: _Source) -> Availability:
    """Open what lies there: a folder alone is no data set."""
    if root is None:
        return Availability(name, False, f"no data root (set {ROOT_VARIABLE} or --data-root)", source.otherwise)
    if source.at(root) is None:
        return Availability(name, False, f"no {root / source.folder}", source.otherwise)
    try:
        opened = source.opened(root, source.shape, (0.0, 1.0), None)
        return Availability(name, True, f"{root / source.folder}, {len(opened)} samples", source.otherwise)
    except ValueError as error:
        return Availability(name, False, f"damaged: {error}", "nothing: a damaged data set is an error")


def _open_mnist(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    return mnist.Mnist(root, shape, value_range, stand_in=stand_in)


def _open_erased_mnist(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    return Erased(_open_mnist(root, shape, value_range, stand_in))


def _open_faces(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    return image_folder.ImageFolder(
        root / image_folder.FOLDER, shape, value_range, stand_in or "CelebA", real=stand_in is None
    )


def _open_high_quality_faces(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    folder = image_folder.HIGH_QUALITY_FOLDER if stand_in is None else image_folder.FOLDER
    return image_folder.ImageFolder(root / folder, shape, value_range, stand_in or "CelebA-HQ", real=stand_in is None)


def _open_lsun(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    return lsun.Lsun(root / lsun.FOLDER, shape, value_range, stand_in or "LSUN bedrooms", real=stand_in is None)


def _open_pairs(
    root: Path, shape: Shape, value_range: Range, stand_in: str | None, *, swapped: bool = False
) -> Dataset:
    return pairs.PairedImages(
        root / pairs.FOLDER, shape, value_range, swapped=swapped, title=stand_in or "", real=stand_in is None
    )


def _open_content_and_style(root: Path, shape: Shape, value_range: Range, stand_in: str | None) -> Dataset:
    return content_and_style.ContentAndStyle(
        root / content_and_style.FOLDER, shape, value_range, stand_in or "two pictures",
        real=stand_in is None,
    )  # fmt: skip


def _kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The stand-in of this name in the cache, made when it isn't there yet."""
    folder = cache_folder() / name
    if not folder.is_dir():
        write_folder(folder, fill)
    return folder


def digits_root() -> Path:
    """The data root of MNIST's stand-in."""
    return _kept("digits-1", mnist.write_digits)


def _drawn_faces() -> Path:
    return _kept(f"faces-{faces.VERSION}-{DRAWN_FACES}", lambda folder: faces.write_faces(folder, DRAWN_FACES, seed=0))


def _packed_faces() -> Path:
    def encoded() -> Iterator[tuple[bytes, bytes]]:
        for file in sorted((_drawn_faces() / image_folder.FOLDER).iterdir()):
            yield file.stem.encode(), file.read_bytes()

    return _kept(f"lmdb-{faces.VERSION}-{DRAWN_FACES}", lambda folder: lsun.write_lmdb(folder / lsun.FOLDER, encoded()))


def _drawn_pairs() -> Path:
    return _kept(
        f"pairs-{pairs.VERSION}-{faces.VERSION}-{DRAWN_PAIRS}",
        lambda folder: pairs.write_drawn_pairs(folder, DRAWN_PAIRS, seed=0),
    )


def _drawn_pictures() -> Path:
    return _kept(f"pictures-{content_and_style.VERSION}-{faces.VERSION}", content_and_style.write_drawn_pictures)


_SOURCES: dict[str, _Source] = {
    "mnist": _Source(mnist.FOLDER, DIGITS_TITLE, digits_root, _open_mnist, (784,), 60_000),
    "mnist-erased": _Source(mnist.FOLDER, DIGITS_TITLE, digits_root, _open_erased_mnist, (1, 28, 28), 60_000),
    "celeba": _Source(image_folder.FOLDER, FACES_TITLE, _drawn_faces, _open_faces, samples=202_599),
    "celeba-hq": _Source(
        image_folder.HIGH_QUALITY_FOLDER, FACES_TITLE, _drawn_faces, _open_high_quality_faces, samples=30_000
    ),
    "lsun-bedroom": _Source(lsun.FOLDER, PACKED_FACES_TITLE, _packed_faces, _open_lsun, samples=3_033_042),
    "pairs": _Source(pairs.FOLDER, PAIRS_TITLE, _drawn_pairs, _open_pairs),
    "pairs-swapped": _Source(pairs.FOLDER, PAIRS_TITLE, _drawn_pairs, partial(_open_pairs, swapped=True)),
    "content-and-style": _Source(content_and_style.FOLDER, PICTURES_TITLE, _drawn_pictures, _open_content_and_style),
}
_DERIVED = {"mnist-erased", "pairs-swapped"}  # other views of a data set that is listed already
