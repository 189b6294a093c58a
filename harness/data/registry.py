"""From a card's data set to data: the real set where the data root has it, else what is bundled, named as such."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.data import content_and_style, image_folder, lsun, mnist, pairs
from harness.data.dataset import Dataset
from harness.data.images import picture_files
from harness.data.mixtures import MIXTURES, MixtureData
from harness.data.openers import (
    Range,
    Reading,
    open_content_and_style,
    open_erased_mnist,
    open_faces,
    open_high_quality_faces,
    open_lsun,
    open_mnist,
    open_pairs,
    open_stacked_mnist,
    pack_alone,
)
from harness.data.own import own_data
from harness.data.own_pack import packed_own_data
from harness.data.packing import SUFFIX
from harness.data.stacked import PICTURES, SHAPE, STACKED
from harness.data.synthetic import (
    DATABASE_TITLE,
    FACES_TITLE,
    PAIRS_TITLE,
    PICTURES_TITLE,
    drawn_faces,
    drawn_pairs,
    drawn_pictures,
    faces_in_a_database,
    title_of,
)
from harness.records.options import ROOT_VARIABLE, named_root
from reference import Card, Reference, Shape

_log = logging.getLogger(__name__)


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

    `opened` gets a root that holds `folder`, the shape and range asked for, the stand-in's title, None for the real
    data, and how to read. `shape` is one that the data can be given in, `samples` how many the real set has for
    training, None where that is the user's affair. Single pictures can be `packed`, and left out when damaged; the
    published set is called `named`.
    """

    folder: Path
    otherwise: str
    stand_in: Callable[[], Path]
    opened: Callable[[Path, Shape, Range, str | None, Reading], Dataset]
    shape: Shape = (3, 64, 64)
    samples: int | None = None
    packed: bool = False
    named: str = ""

    def at(self, root: Path | None) -> Path | None:
        """The data root, if it holds this data set."""
        return root if root is not None and (root / self.folder).is_dir() else None

    def title_at(self, root: Path) -> str | None:
        """The stand-in's title, if that is what somebody has drawn into this data root; None for the real data."""
        return title_of(root / self.folder.parts[0])

    def counted(self, dataset: Dataset) -> Dataset:
        """The data set, which says so where it is a part of the published one, or more than that has."""
        if dataset.real and self.packed:
            dataset.title, dataset.real, dataset.complete = self.titled(len(dataset))
        return dataset

    def titled(self, count: int) -> tuple[str, bool, bool]:
        """What so many pictures in the place of the published ones are called, are they real, and are they all?"""
        assert self.samples is not None
        if count > self.samples:
            return f"{count:,} pictures in the place of {self.named}", False, False
        if count < self.samples:
            return f"{self.named}, {count:,} of {self.samples:,}", True, False
        return self.named, True, True

    def open(self, card: Card, root: Path | None, reading: Reading) -> Dataset:
        """The real data, or the stand-in."""
        found = self.at(root)
        if found is None and reading.names_a_pack:
            return self.counted(pack_alone(Path(reading.pack), card, self.named, reading))
        if found is None:
            return self.opened(self.stand_in(), card.data_shape, card.data_range, self.otherwise, reading)
        dataset = self.counted(self.opened(found, card.data_shape, card.data_range, self.title_at(found), reading))
        labels = getattr(dataset, "labels", None)
        if card.classes and labels is not None and int(labels.max()) >= card.classes:
            raise ValueError(
                f"{found / self.folder} holds the label {int(labels.max())}; {card.name} knows 0 to {card.classes - 1}"
            )
        return dataset


def data_root(given: Path | None, *, own: bool = False) -> Path | None:
    """The data root asked for, else that of GAN_HARNESS_DATA, else None.

    With `own` a reference brings its own data, and knows what it looks for there.

    Raises:
        ValueError: the folder named isn't there, or holds none of the data sets.
    """
    named = named_root(given)
    if named is not None and not named.is_dir():
        raise ValueError(f"the data root {named} isn't a folder")
    if named is not None and not own and not any(source.at(named) for source in _SOURCES.values()):
        places = ", ".join(dict.fromkeys(str(source.folder) for source in _SOURCES.values()))
        raise ValueError(f"the data root {named} holds none of: {places}")
    return named


def brings_data(reference: Reference) -> bool:
    """Whether a reference has training data of its own."""
    return getattr(reference, "data", None) is not None


def open_data(reference: Reference, root: Path | None, reading: Reading | None = None) -> Dataset:
    """What a reference trains on: its own data where it has some, else the data set that its card names.

    Raises:
        ValueError: as `open_dataset`; its own data fail, or can't be used.
    """
    if not brings_data(reference):
        return open_dataset(reference.card, root, reading)
    named = reference.card.dataset
    if named != "own":
        raise ValueError(
            f"{reference.card.name} has data(root), and its card names the dataset {named!r}: leave one out"
        )
    if reading is not None and reading.skip_damaged:
        raise ValueError(f"--skip-damaged plays no part for {reference.card.name}, which brings its own data")
    if reading is not None and reading.names_a_pack:
        return packed_own_data(reference, root, Path(reading.pack))
    return own_data(reference, root)


def open_dataset(card: Card, root: Path | None, reading: Reading | None = None) -> Dataset:
    """The training data that `card` asks for, in its shape and range.

    Raises:
        ValueError: the card's data set is unknown, its files are damaged, or the pack asked for holds something else.
    """
    reading = reading or Reading()
    packed = [name for name, source in _SOURCES.items() if source.packed]
    option = "--pack" if reading.names_a_pack else "--skip-damaged" if reading.skip_damaged else ""
    if option and card.dataset not in packed:
        raise ValueError(
            f"{option} plays a part for pictures in files ({', '.join(packed)}), and {card.name} is on {card.dataset}"
        )
    match card.dataset:
        case name if name in MIXTURES:
            return MixtureData(name, card.data_shape)
        case name if name in _SOURCES:
            return _SOURCES[name].open(card, root, reading)
        case "own":
            raise ValueError(
                f"the card of {card.name} names no dataset, and the reference has no data(root) that returns its own; "
                f"there are: {_choices()}"
            )
        case name:
            raise ValueError(f"{card.name} asks for the data set {name!r}; there are: {_choices()}")


def _choices() -> str:
    return ", ".join(sorted([*_SOURCES, *MIXTURES]))


def documented_samples(card: Card) -> int | None:
    """How many training samples the real data set of a card has; None where nobody says."""
    if card.dataset in MIXTURES:
        return len(MixtureData(card.dataset))
    source = _SOURCES.get(card.dataset)
    return source.samples if source else None


def has_real_data(card: Card, root: Path | None) -> bool:
    """Whether the data root holds the card's data set, all of it; what is computed is always real."""
    source = _SOURCES.get(card.dataset)
    if source is None:
        return True
    opened = source.open(card, root, Reading()) if source.at(root) else None
    return opened is not None and opened.real and opened.complete


def availability(root: Path | None) -> list[Availability]:
    """What `doctor` says of each data set."""
    looked = [_look(root, name, source) for name, source in _SOURCES.items() if name not in _DERIVED]
    return [*looked, *(Availability(name, True, "computed", "nothing else is needed") for name in MIXTURES)]


def faces_with_attributes(root: Path | None) -> tuple[Path, image_folder.Attributes, str, bool]:
    """The folder that holds CelebA or its stand-in, its attributes, its title, and whether it is real.

    Raises:
        MissingAttributesError: there is no attribute file.
        ValueError: it is damaged.
    """
    at, title, real = faces_root(root)
    if not (at / image_folder.ATTRIBUTES).is_file():
        raise MissingAttributesError(
            f"{at} has no {image_folder.ATTRIBUTES}: without it no attribute of its faces is known"
        )
    return at, image_folder.read_attributes(at / image_folder.ATTRIBUTES), title, real


def faces_root(root: Path | None) -> tuple[Path, str, bool]:
    """The data root of CelebA or its stand-in, its title, and whether it is real."""
    source = _SOURCES["celeba"]
    found = source.at(root)
    title = source.otherwise if found is None else source.title_at(found)
    if found is None or title is not None:
        return found or source.stand_in(), title or "", False
    named, real, _ = source.titled(len(picture_files(found / source.folder, strangers=True)))
    return found, named, real


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
        title = source.title_at(root)
        opened = source.counted(source.opened(root, source.shape, (0.0, 1.0), title, Reading()))
        title = title if opened.real and opened.complete else opened.title
        packs = sorted(file.name for file in (root / source.folder).parent.glob(f"{source.folder.name}-*x*{SUFFIX}"))
        said = f"{root / source.folder}, {len(opened)} samples" + "".join(f"; packed: {name}" for name in packs)
        return Availability(name, title is None, f"{said}; {title}" if title else said, source.otherwise)
    except ValueError as error:
        return Availability(name, False, f"damaged: {error}", "nothing: a damaged data set is an error")


_SOURCES: dict[str, _Source] = {
    "mnist": _Source(mnist.FOLDER, mnist.BUNDLED_TITLE, mnist.bundled_root, open_mnist, (784,), 60_000),
    "mnist-erased": _Source(
        mnist.FOLDER, mnist.BUNDLED_TITLE, mnist.bundled_root, open_erased_mnist, (1, 28, 28), 60_000
    ),
    STACKED: _Source(mnist.FOLDER, mnist.BUNDLED_TITLE, mnist.bundled_root, open_stacked_mnist, SHAPE, PICTURES),
    "celeba": _Source(
        image_folder.FOLDER, FACES_TITLE, drawn_faces, open_faces, samples=202_599, packed=True, named="CelebA"
    ),
    "celeba-hq": _Source(
        image_folder.HIGH_QUALITY_FOLDER,
        FACES_TITLE,
        drawn_faces,
        open_high_quality_faces,
        samples=30_000,
        packed=True,
        named="CelebA-HQ",
    ),
    "lsun-bedroom": _Source(
        lsun.FOLDER,
        DATABASE_TITLE,
        faces_in_a_database,
        open_lsun,
        samples=3_033_042,
        packed=True,
        named="LSUN bedrooms",
    ),
    "pairs": _Source(pairs.FOLDER, PAIRS_TITLE, drawn_pairs, open_pairs),
    "pairs-swapped": _Source(pairs.FOLDER, PAIRS_TITLE, drawn_pairs, partial(open_pairs, swapped=True)),
    "content-and-style": _Source(content_and_style.FOLDER, PICTURES_TITLE, drawn_pictures, open_content_and_style),
}
_DERIVED = {"mnist-erased", STACKED, "pairs-swapped"}  # other views of a data set that is listed already
