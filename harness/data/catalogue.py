"""From a card's data set to data: the real set where the data root has it, else its bundled stand-in, named as such."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from harness.data import faces, image_folder, mnist
from harness.data.dataset import Dataset
from harness.data.grid import GaussianGrid
from harness.files import write_folder
from reference import Card

ROOT_VARIABLE = "GAN_HARNESS_DATA"
CACHE_VARIABLE = "GAN_HARNESS_CACHE"
DRAWN_FACES = 1024
DIGITS_TITLE = "stand-in: scikit-learn digits"
FACES_TITLE = "stand-in: drawn faces"


@dataclass(frozen=True)
class Availability:
    """Whether the real data set is there, where it was looked for, and what is used otherwise."""

    dataset: str
    found: bool
    place: str
    otherwise: str


def data_root(given: Path | None) -> Path | None:
    """The data root asked for, else that of GAN_HARNESS_DATA, else None.

    Raises:
        ValueError: the folder named isn't there.
    """
    named = given or (Path(os.environ[ROOT_VARIABLE]) if os.environ.get(ROOT_VARIABLE) else None)
    if named is not None and not named.is_dir():
        raise ValueError(f"the data root {named} isn't a folder")
    places = (mnist.FOLDER, image_folder.FOLDER)
    if named is not None and not any(_has(named, place) for place in places):
        raise ValueError(f"the data root {named} holds none of: {', '.join(map(str, places))}")
    return named


def cache_folder() -> Path:
    """Where stand-ins are kept between runs: GAN_HARNESS_CACHE, else the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("gan-harness"))


def open_dataset(card: Card, root: Path | None) -> Dataset:
    """The training data that `card` asks for, in its shape and range.

    Raises:
        ValueError: the card's data set is unknown, or its files are damaged.
    """
    try:
        opener = _OPENERS[card.dataset]
    except KeyError:
        choices = ", ".join(sorted(_OPENERS))
        raise ValueError(f"{card.name} asks for the data set {card.dataset!r}; there are: {choices}") from None
    return opener(card, root)


def availability(root: Path | None) -> list[Availability]:
    """What `doctor` says of each data set."""
    return [
        _look(root, "mnist", mnist.FOLDER, DIGITS_TITLE, lambda at: mnist.Mnist(at, (784,), (0, 1))),
        _look(
            root,
            "celeba",
            image_folder.FOLDER,
            FACES_TITLE,
            lambda at: image_folder.ImageFolder(at, (3, 64, 64), (0, 1)),
        ),
        Availability("gaussian-grid", True, "computed", "nothing else is needed"),
    ]


def _look(
    root: Path | None, name: str, folder: Path, otherwise: str, opened: Callable[[Path], Dataset]
) -> Availability:
    """Open what lies there: a folder alone is no data set."""
    if root is None:
        return Availability(name, False, f"no data root (set {ROOT_VARIABLE} or --data-root)", otherwise)
    if not _has(root, folder):
        return Availability(name, False, f"no {root / folder}", otherwise)
    try:
        return Availability(name, True, f"{root / folder}, {len(opened(root))} samples", otherwise)
    except ValueError as error:
        return Availability(name, False, f"damaged: {error}", "nothing: a damaged data set is an error")


def _open_mnist(card: Card, root: Path | None) -> Dataset:
    if root is not None and _has(root, mnist.FOLDER):
        return mnist.Mnist(root, card.data_shape, card.data_range)
    stand_in = _stand_in("digits-1", mnist.write_digits)
    return mnist.Mnist(stand_in, card.data_shape, card.data_range, stand_in=DIGITS_TITLE)


def _open_celeba(card: Card, root: Path | None) -> Dataset:
    if root is not None and _has(root, image_folder.FOLDER):
        return image_folder.ImageFolder(root, card.data_shape, card.data_range)
    stand_in = _stand_in(
        f"faces-{faces.VERSION}-{DRAWN_FACES}", lambda folder: faces.write_faces(folder, DRAWN_FACES, seed=0)
    )
    return image_folder.ImageFolder(stand_in, card.data_shape, card.data_range, FACES_TITLE, real=False)


def _open_grid(card: Card, _: Path | None) -> Dataset:
    if card.data_shape != (2,):
        raise ValueError(f"the Gaussian grid holds points of shape (2,), not {card.data_shape}")
    return GaussianGrid()


_OPENERS: dict[str, Callable[[Card, Path | None], Dataset]] = {
    "mnist": _open_mnist,
    "celeba": _open_celeba,
    "gaussian-grid": _open_grid,
}


def _has(root: Path | None, folder: Path) -> bool:
    return root is not None and (root / folder).is_dir()


def _stand_in(name: str, fill: Callable[[Path], None]) -> Path:
    folder = cache_folder() / name
    if not folder.is_dir():
        write_folder(folder, fill)
    return folder
