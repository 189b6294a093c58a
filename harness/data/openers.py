"""How each data set is opened where it lies: its digits, pictures or pairs, or the pack that holds them.

Each gets a root that holds the set's folder, the shape and range asked for, the stand-in's title (None for the real
data), and how to read.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from harness.data import content_and_style, image_folder, lsun, mnist, pairs
from harness.data.dataset import Dataset
from harness.data.erased import Erased
from harness.data.filter import Pictures, SkipDamaged, damaged_pictures
from harness.data.images import Framing
from harness.data.packed import Pack, PackedImages, read_pack
from harness.data.packing import pack_of, stale_reason
from harness.data.stacked import StackedMnist
from harness.records.options import AUTO, NEVER
from reference import Card, Shape

_log = logging.getLogger(__name__)

Range = tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """How data are read: which samples there are, and their bits, don't depend on it, but for damaged pictures.

    Attributes:
        pack: `auto` for the pack that lies beside the pictures, if it holds what they hold; `never`; or a pack's file.
        skip_damaged: leave out pictures that can't be read, instead of refusing them.
    """

    pack: str = AUTO
    skip_damaged: bool = False

    @property
    def names_a_pack(self) -> bool:
        """Whether a pack's file is asked for by name."""
        return self.pack not in (AUTO, NEVER)


def open_mnist(root: Path, shape: Shape, value_range: Range, _: str | None, __: Reading) -> Dataset:
    """MNIST, or the part of it that is bundled."""
    return mnist.Mnist(root, shape, value_range)


def open_erased_mnist(root: Path, shape: Shape, value_range: Range, _: str | None, __: Reading) -> Dataset:
    """MNIST with holes."""
    return Erased(mnist.Mnist(root, shape, value_range))


def open_stacked_mnist(root: Path, shape: Shape, value_range: Range, _: str | None, __: Reading) -> Dataset:
    """Three digits in one picture."""
    return StackedMnist(root, shape, value_range)


def open_faces(root: Path, shape: Shape, value_range: Range, stand_in: str | None, how: Reading) -> Dataset:
    """CelebA's pictures, or drawn ones."""
    return _pictures(image_folder.ImageFolder, root / image_folder.FOLDER, shape, value_range, stand_in, how)


def open_high_quality_faces(
    root: Path, shape: Shape, value_range: Range, stand_in: str | None, how: Reading
) -> Dataset:
    """CelebA-HQ's pictures, or drawn ones."""
    folder = root / image_folder.HIGH_QUALITY_FOLDER
    if not folder.is_dir():  # the faces' stand-in is that of both
        folder = root / image_folder.FOLDER
    return _pictures(image_folder.ImageFolder, folder, shape, value_range, stand_in, how)


def open_lsun(root: Path, shape: Shape, value_range: Range, stand_in: str | None, how: Reading) -> Dataset:
    """LSUN's database, or a drawn one."""
    return _pictures(lsun.Lsun, root / lsun.FOLDER, shape, value_range, stand_in, how)


def _pictures(
    kind: type[image_folder.ImageFolder | lsun.Lsun],
    source: Path,
    shape: Shape,
    value_range: Range,
    stand_in: str | None,
    how: Reading,
) -> Dataset:
    """The pictures of a folder or database, from their pack where there is a valid one."""
    packed = _packed(source, shape, value_range, stand_in, how)
    if packed is not None:
        return packed
    opened: Pictures = kind(source, shape, value_range, stand_in or "", real=stand_in is None)
    if not how.skip_damaged:
        return opened
    total = len(opened)
    damaged = damaged_pictures(opened, os.cpu_count() or 1)
    if len(damaged) == total:
        raise ValueError(f"{source}: none of its {total} pictures can be read")
    names = ", ".join(opened.name(index) for index in damaged)
    _log.warning(f"left out {len(damaged)} of {total} pictures, which can't be read" + (f": {names}" if names else ""))
    return SkipDamaged(opened, damaged) if damaged else opened


def _packed(source: Path, shape: Shape, value_range: Range, stand_in: str | None, how: Reading) -> Dataset | None:
    """The pack asked for, or the one that lies there; None to read the pictures themselves."""
    path = pack_of(source, shape[-1]) if how.pack == AUTO else Path(how.pack)
    if how.pack == NEVER or (how.pack == AUTO and not path.is_file()):
        return None
    pack = read_pack(path)
    wrong = stale_reason(pack, source, shape, Framing(shape).described(), skip_damaged=how.skip_damaged)
    if wrong and how.pack != AUTO:
        raise ValueError(f"the pack {path} doesn't hold what {source} does: {wrong}; pack again, or use --pack never")
    if wrong:
        without = how.skip_damaged or bool(pack.skipped)
        again = f"gan-harness pack {source} --side {shape[-1]} --overwrite" + " --skip-damaged" * without
        _log.warning(f"the pack {path} isn't used: {wrong}; `{again}` makes it anew")
        return None
    _log.info(f"reading the pack {path}{_left_out(pack)}")
    return PackedImages(pack, value_range, stand_in or "", real=stand_in is None)


def pack_alone(path: Path, card: Card, named: str, how: Reading) -> Dataset:
    """A pack asked for by name where the pictures that it was made of aren't: its own header says what it holds."""
    pack = read_pack(path)
    here = Framing(card.data_shape).described()
    transform = dict(pack.transform)
    if pack.shape != card.data_shape or any(transform.get(part) != here[part] for part in ("resize", "crop")):
        raise ValueError(f"the pack {path} holds pictures of {pack.shape}; {card.name} asks for {card.data_shape}")
    if pack.skipped and not how.skip_damaged:
        raise ValueError(
            f"the pack {path} leaves out {len(pack.skipped)} pictures that can't be read, which only --skip-damaged "
            "allows"
        )
    others = [
        f"{part} {transform.get(part)}, here {value}" for part, value in here.items() if transform.get(part) != value
    ]
    decoded = f"; it was decoded with {', '.join(others)}" if others else ""
    _log.info(
        f"reading the pack {path} alone{_left_out(pack)}: the pictures it was made of ({pack.source}) aren't in a data "
        f"root here{decoded}"
    )
    return PackedImages(pack, card.data_range, pack.stand_in or named, real=not pack.stand_in)


def _left_out(pack: Pack) -> str:
    return f", without {len(pack.skipped)} that can't be read: {', '.join(pack.skipped)}" if pack.skipped else ""


def open_pairs(
    root: Path, shape: Shape, value_range: Range, stand_in: str | None, _: Reading, *, swapped: bool = False
) -> Dataset:
    """Pairs of pictures side by side, or drawn ones."""
    return pairs.PairedImages(
        root / pairs.FOLDER,
        shape,
        value_range,
        swapped=swapped,
        title=stand_in or "",
        real=stand_in is None,
    )


def open_content_and_style(root: Path, shape: Shape, value_range: Range, stand_in: str | None, _: Reading) -> Dataset:
    """Two pictures: of content and of style."""
    return content_and_style.ContentAndStyle(
        root / content_and_style.FOLDER,
        shape,
        value_range,
        stand_in or "two pictures",
        real=stand_in is None,
    )
