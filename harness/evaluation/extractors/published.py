"""Extractors whose weights others publish: Inception, DINOv2 and CLIP, as torch-fidelity has them. Nothing is fetched.

The weights are looked for in a file or a folder that the user names, or where torch.hub keeps what it has downloaded.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.data.content import stamp_of
from harness.evaluation.extractors.dinov2 import SIZES

VGG16_FILE, LPIPS_FILE = "vgg16-397923af.pth", "weights-vgg16-lpips.pth"  # what LPIPS takes
_IMAGENET, _DINO, _CLIP = (
    "photographs of things (ImageNet)",
    "142 million photographs, without labels (LVD-142M)",
    "400 million pictures with their captions",
)


class NoExtractorError(ValueError):
    """Nothing here can look at these images: a reason to leave their quality out, and no fault."""


@dataclass(frozen=True)
class Published:
    """A network whose weights others publish.

    Attributes:
        file: what its authors call the file.
        digest: how the file's SHA-256 begins; "" where its authors publish none.
        layers: torch-fidelity's names of features and logits; of features alone, where there are no logits.
        dimension: of the features.
        side: of the images that it sees.
        trained_on: what it learned to see.
        registered: torch-fidelity's name.
    """

    file: str
    digest: str
    layers: tuple[str, ...]
    dimension: int
    side: int
    trained_on: str
    registered: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its logits."""
        return tuple(map(str, range(1008))) if len(self.layers) == 2 else ()


def _clip(name: str, file: str, digest: str, dimension: int) -> Published:
    return Published(file, digest, ("clip",), dimension, 224, _CLIP, name)


def _dino(name: str, file: str) -> Published:
    return Published(file, "", ("dinov2",), SIZES[name].dimension, 224, _DINO, name)


PUBLISHED = {
    "inception": Published(
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d",
        ("2048", "logits_unbiased"),
        2048,
        299,
        _IMAGENET,
        "inception-v3-compat",
    ),
    "dinov2-vit-s-14": _dino("dinov2-vit-s-14", "dinov2_vits14_pretrain.pth"),
    "dinov2-vit-b-14": _dino("dinov2-vit-b-14", "dinov2_vitb14_pretrain.pth"),
    "dinov2-vit-l-14": _dino("dinov2-vit-l-14", "dinov2_vitl14_pretrain.pth"),
    "clip-vit-b-32": _clip(
        "clip-vit-b-32", "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 512
    ),
    "clip-vit-b-16": _clip(
        "clip-vit-b-16", "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 512
    ),
    "clip-vit-l-14": _clip(
        "clip-vit-l-14", "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 768
    ),
}


def given_extractors(given: Path | None) -> list[str]:
    """The published extractors whose weights were given: in a file, in a folder; Inception's own where none were.

    A file under a name of one's own is taken for Inception's.
    """
    if given is None:
        return ["inception"] if _kept("inception").is_file() else []
    if given.is_dir():
        return [name for name, network in PUBLISHED.items() if (given / network.file).is_file()]
    return [name for name, network in PUBLISHED.items() if network.file == given.name] or ["inception"]


def published_file(name: str, given: Path | None) -> Path:
    """The weights of the extractor `name`: the file given, that in the folder given, else where torch.hub keeps it.

    Raises:
        NoExtractorError: there are none.
        ValueError: those given aren't there, or aren't those that are published.
    """
    network = PUBLISHED[name]
    file = _kept(name) if given is None else given / network.file if given.is_dir() else given
    if given is not None and not file.is_file():
        raise ValueError(f"the extractor {name} needs its weights: {file} isn't there; nothing is fetched")
    if not file.is_file():
        hint = "`gan-harness fetch inception` does it" if name == "inception" else "its authors publish them"
        raise NoExtractorError(
            f"the extractor {name} needs its weights: none is given with --extractor-weights, nor is {file} there; "
            f"nothing is fetched unasked: {hint}"
        )
    found = sha256(file)
    if not found.startswith(network.digest):
        raise ValueError(
            f"{file} isn't the published {network.file}: its SHA-256 begins with {found[:8]}, not {network.digest[:8]}"
        )
    return file


def open_published(name: str, file: Path) -> nn.Module:
    """Its network on the CPU, ready.

    Raises:
        ValueError: the file holds something else.
    """
    from torch_fidelity.utils import create_feature_extractor  # brings TorchDynamo: seconds

    from harness.evaluation.extractors.registered import DinoV2OfFile

    network = PUBLISHED[name]
    options: dict[str, Any] = {"cuda": False, "feature_extractor_weights_path": str(file), "verbose": False}
    try:
        if name.startswith("dinov2"):
            return DinoV2OfFile(name, list(network.layers), file)
        if name == "inception":
            # torch-fidelity unpickles the file without PyTorch's safe reader; this reads it first, and refuses code.
            torch.load(file, weights_only=True)
        with warnings.catch_warnings(action="ignore"):  # CLIP's file is TorchScript, which PyTorch would leave behind
            made: nn.Module = create_feature_extractor(network.registered, list(network.layers), **options)
            return made
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} doesn't hold the weights of {name}: {why}") from error


def sha256(file: Path) -> str:
    """Of a file's bytes, in hexadecimal digits; read again only when the file has changed, for some hold gigabytes."""
    return _sha256(file, stamp_of([file]))


@cache
def _sha256(file: Path, _: str) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _kept(name: str) -> Path:
    """Where torch.hub keeps it, under its authors' name or torch-fidelity's."""
    folder, network = Path(torch.hub.get_dir()) / "checkpoints", PUBLISHED[name]
    renamed = folder / f"{network.registered}-{network.digest}.pt"
    return renamed if renamed.is_file() else folder / network.file
