"""Data sets and weights of others, downloaded when somebody asks: by their own downloaders, with their checksums.

Everything arrives complete or not at all.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import urllib.error
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.datasets import MNIST, CelebA
from torchvision.datasets.utils import download_file_from_google_drive, download_url
from torchvision.models import VGG19_Weights

from harness.data import image_folder, lsun, mnist

LSUN_URL = "http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip"
INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
PGAN_URL = "https://dl.fbaipublicfiles.com/gan_zoo/PGAN/celebaHQ16_december_s7_i96000-9c72988c.pth"


@dataclass(frozen=True)
class Download:
    """Something that can be fetched.

    Attributes:
        what: what it is, and how large.
        terms: what its licence says, in one line.
        place: where it goes, given the data root.
        fetch: brings it there.
        use: how it is used then, with `{place}`.
    """

    what: str
    terms: str
    place: Callable[[Path | None], Path]
    fetch: Callable[[Path], None]
    use: str = "found there by every command with this data root"

    @property
    def needs_root(self) -> bool:
        """Whether it goes below the data root; weights go where torch.hub keeps them."""
        return self.fetch in (_mnist, _celeba, _lsun)


def fetch(name: str, root: Path | None) -> Path:
    """Download `name`, below the data root `root` or where torch.hub keeps its weights; returns where it is.

    Raises:
        ValueError: an unknown name, no data root where one is needed, something is there already, or it can't be had:
            no network, no such file, another checksum than is published. Nothing half is left.
    """
    if name not in DOWNLOADS:
        raise ValueError(f"nothing is called {name!r}; there are: {', '.join(DOWNLOADS)}")
    download = DOWNLOADS[name]
    if download.needs_root and root is None:
        raise ValueError(f"where {name} is to go isn't said: name a data root with --data-root or GAN_HARNESS_DATA")
    place = download.place(root)
    if place.exists():
        raise ValueError(f"{place} is there already: nothing is fetched")
    try:
        download.fetch(place)
    # What the downloaders raise: the network's own errors, and RuntimeError for a checksum that differs.
    except (urllib.error.URLError, http.client.HTTPException, zipfile.BadZipFile, RuntimeError, OSError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{name} can't be fetched: {why}; nothing of it is kept") from error
    return place


@contextlib.contextmanager
def _arriving(place: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `place` when all of it has arrived."""
    there = place.parent.is_dir()
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
            whole = Path(folder) / place.name
            whole.mkdir()
            yield whole
            whole.rename(place)
    except BaseException:
        if not there:
            place.parent.rmdir()
        raise


def _mnist(place: Path) -> None:
    with _arriving(place) as folder:
        for name, digest in MNIST.resources:
            _first_that_answers([f"{mirror}{name}" for mirror in MNIST.mirrors], folder, digest)


def _first_that_answers(urls: list[str], folder: Path, digest: str) -> None:
    for number, url in enumerate(urls, 1):
        try:
            download_url(url, folder, md5=digest)
            return
        except (urllib.error.URLError, http.client.HTTPException, RuntimeError, OSError) as error:
            if number == len(urls):
                raise RuntimeError(f"{url}: {error}") from error


def _celeba(place: Path) -> None:
    wanted = {"img_align_celeba.zip", image_folder.ATTRIBUTES.name}
    with _arriving(place) as folder:
        for identity, digest, name in CelebA.file_list:
            if name in wanted:
                download_file_from_google_drive(identity, folder, name, digest)
        _unpacked(folder / "img_align_celeba.zip")


def _lsun(place: Path) -> None:
    with _arriving(place) as folder:
        download_url(LSUN_URL, folder, "archive.zip")
        _unpacked(folder / "archive.zip")
        for file in (folder / place.name).iterdir():  # the archive holds the folder itself
            file.rename(folder / file.name)
        (folder / place.name).rmdir()


def _unpacked(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(archive.parent)
    archive.unlink()


def _weights(url: Callable[[], str]) -> Callable[[Path], None]:
    """By torch.hub's downloader: the name's last part is how the file's SHA-256 begins."""

    def fetch_weights(place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url(), str(place), hash_prefix=place.stem.rpartition("-")[2])

    return fetch_weights


def _hub(url: Callable[[], str]) -> Callable[[Path | None], Path]:
    return lambda _: Path(torch.hub.get_dir()) / "checkpoints" / url().rpartition("/")[2]


def _below(folder: Path) -> Callable[[Path | None], Path]:
    return lambda root: (root or Path()) / folder


def _of_weights(what: str, terms: str, url: Callable[[], str], use: str) -> Download:
    return Download(what, terms, _hub(url), _weights(url), use)


DOWNLOADS: dict[str, Download] = {
    "mnist": Download(
        "MNIST, 60,000 and 10,000 digits, 12 MB",
        "CC BY-SA 3.0, by Yann LeCun and Corinna Cortes",
        _below(mnist.FOLDER),
        _mnist,
    ),
    "celeba": Download(
        "CelebA, 202,599 aligned faces and their attributes, 1.4 GB, from Google Drive by way of gdown",
        "for non-commercial research alone; the pictures belong to others",
        _below(image_folder.FOLDER.parent),
        _celeba,
    ),
    "lsun": Download(
        "LSUN bedrooms, 3,033,042 pictures in an LMDB, 43 GB; its authors publish no checksum",
        "its authors state none; for research, as they ask",
        _below(lsun.FOLDER),
        _lsun,
    ),
    "inception": _of_weights(
        "Inception's weights as torch-fidelity publishes them, 96 MB",
        "Apache 2.0; trained on ImageNet, which is for non-commercial research",
        lambda: INCEPTION_URL,
        "the extractor inception looks there",
    ),
    "vgg19": _of_weights(
        "VGG-19's weights as torchvision publishes them, 548 MB",
        "BSD 3-clause; trained on ImageNet, which is for non-commercial research",
        lambda: VGG19_Weights.IMAGENET1K_V1.url,
        "style-transfer@weights={place}",
    ),
    "pgan": _of_weights(
        "the progressive GAN's checkpoint for CelebA-HQ at 512×512, as its hub publishes it",
        "BSD 3-clause; trained on CelebA-HQ, which is for non-commercial research",
        lambda: PGAN_URL,
        "idl-pgan-celebahq512@checkpoint={place}",
    ),
}
