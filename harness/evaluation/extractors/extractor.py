"""An extractor with its weights: those that come with the package, those in the cache, or a file of one's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.utils import create_feature_extractor

from harness.evaluation.extractors import train
from harness.evaluation.extractors.networks import DIMENSION, EXTRACTORS, FEATURES, LOGITS
from harness.evaluation.extractors.training_data import EXTRACTOR_DATA, ExtractorData
from harness.files.cache import cache_folder, check_cache, writing_to_cache
from harness.files.tensors import SafetensorError, read_metadata, read_tensors, write_tensors
from harness.files.writing import write_folder
from harness.records.metrics import EXTRACTOR
from harness.records.progress import report_progress
from harness.training.device import full_float32, numerics

_log = logging.getLogger(__name__)

INCEPTION = "inception-v3-compat"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_HASH = "6726825d"  # how the SHA-256 of torch-fidelity's published file begins
NAMES = (*EXTRACTORS, "inception")
_BATCH = 64  # torch-fidelity's own, so that its figures come out to the last bit
BUNDLED = Path(__file__).parent / "weights"


class NoExtractorError(ValueError):
    """Nothing here can look at these images: a reason to leave their quality out, and no fault."""


@dataclass(frozen=True)
class Extractor:
    """A feature extractor, ready: `weights` is the hash of its weights, `accuracy` what it got right when held out.

    `accuracies` is that of each attribute, where it reads attributes. `classes` names what its logits tell apart;
    `dimension` is that of its features; `trained_on` says what it learned to see.
    """

    name: str
    weights: str
    module: FeatureExtractorBase = field(repr=False)
    dimension: int
    classes: tuple[str, ...]
    side: int
    device: torch.device
    trained_on: str
    accuracy: float | None = None
    accuracies: Mapping[str, float] = field(default_factory=dict)

    def protocol(self) -> dict[str, str]:
        """What two values must share to be comparable."""
        resize = "TensorFlow's bilinear" if self.name == "inception" else "bilinear, antialiased"
        return {EXTRACTOR: f"{self.name} {self.weights}", "resize": f"to {self.side}×{self.side}, {resize}"}

    @torch.no_grad()
    def __call__(self, images: Tensor, what: str = "") -> tuple[Tensor, Tensor]:
        """Features (n, dimension) and logits (n, classes) of uint8 images (n, 1 or 3, H, W), float32 on the CPU.

        Computed in full float32 and with deterministic algorithms on any device. The log says how many of `what` were
        looked at; nothing where that is empty.
        """
        if self.module.training:
            raise RuntimeError(f"{self.name} must be in evaluation mode")
        found = []
        with numerics(self.device, deterministic=True, threads=None), full_float32():
            for start in range(0, len(images), _BATCH):
                batch = images[start : start + _BATCH].to(self.device)
                found.append(tuple(part.cpu() for part in self.module(batch.expand(-1, 3, -1, -1).contiguous())))
                if what:
                    done = min(start + _BATCH, len(images))
                    report_progress(_log, f"{self.name} looks at {what}", done, len(images))
        features, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        return features, logits


def load_extractor(
    name: str,
    device: torch.device,
    root: Path | None = None,
    inception: Path | None = None,
) -> Extractor:
    """The extractor `name`, trained now if its weights are neither bundled nor cached.

    Args:
        root: the data root, where `mnistnet` finds MNIST.
        inception: the file of Inception's weights; None looks in torch-fidelity's own cache. Nothing is fetched.

    Raises:
        ValueError: an unknown name; weights that are missing, damaged, or not the ones expected.
    """
    if name == "inception":
        return _inception(inception_file(inception), device)
    if name not in EXTRACTORS:
        raise ValueError(f"unknown extractor {name!r}; there are: {', '.join(NAMES)}")
    data = EXTRACTOR_DATA[name](root)
    file = _weights_file(name, data)
    facts = _facts(file)
    module = _created(name, file, [FEATURES, LOGITS], device)
    kind = EXTRACTORS[name]
    return Extractor(
        name,
        facts["hash"],
        module,
        DIMENSION,
        kind.CLASSES,
        kind.SIDE,
        device,
        data.title,
        accuracy=float(facts["accuracy"]),
        accuracies=json.loads(facts.get("accuracies", "{}")),
    )


def weights_path(name: str, root: Path | None = None) -> Path:
    """The file of an extractor's weights, for whoever calls torch-fidelity by hand.

    Raises:
        ValueError: as `load_extractor`.
    """
    if name not in EXTRACTORS:
        raise ValueError(f"unknown extractor {name!r}; there are: {', '.join(EXTRACTORS)}")
    return _weights_file(name, EXTRACTOR_DATA[name](root))


def inception_file(given: Path | None) -> Path:
    """Inception's weights: the file given, else the one in torch-fidelity's cache.

    Raises:
        NoExtractorError: there is none.
        ValueError: the one given isn't there, or isn't the file that torch-fidelity publishes.
    """
    file = given or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if given and not file.is_file():
        raise ValueError(f"the extractor inception needs its weights: {given} isn't there; nothing is fetched")
    if not file.is_file():
        raise NoExtractorError(
            f"the extractor inception needs its weights: none is given with --inception-weights, nor is {file} there; "
            "nothing is fetched unasked: `gan-harness fetch inception` does it"
        )
    found = _sha256(file)
    if not found.startswith(INCEPTION_HASH):
        raise ValueError(
            f"{file} isn't torch-fidelity's {INCEPTION_FILE}: its SHA-256 begins with {found[:8]}, not {INCEPTION_HASH}"
        )
    return file


def _inception(file: Path, device: torch.device) -> Extractor:
    try:
        # torch-fidelity unpickles the file without PyTorch's safe reader; this reads it first, and refuses code.
        torch.load(file, weights_only=True)
        module = _created(INCEPTION, file, ["2048", "logits_unbiased"], device)
    except Exception as error:
        raise ValueError(f"{file} doesn't hold Inception's weights: {' '.join(str(error).split())[:200]}") from error
    classes = tuple(str(number) for number in range(1008))
    return Extractor(
        "inception", _sha256(file)[:12], module, 2048, classes, 299, device, "photographs of things (ImageNet)"
    )


def _created(name: str, file: Path, layers: list[str], device: torch.device) -> FeatureExtractorBase:
    try:
        module = create_feature_extractor(
            name, layers, cuda=False, feature_extractor_weights_path=str(file), verbose=False
        )
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{file} doesn't fit {name}: {' '.join(str(error).split())[:200]}") from error
    return module.to(device)


def _weights_file(name: str, data: ExtractorData) -> Path:
    """Bundled, cached, or trained now."""
    bundled = BUNDLED / f"{name}.safetensors"
    if bundled.is_file() and _made_for(bundled, data):
        return bundled
    place = f"{name}-{train.RECIPE_VERSION}-{data.fingerprint}"
    folder = cache_folder() / "extractors"
    for cached in sorted(folder.glob(f"{place}-*/{name}.safetensors")):
        if not cached.parent.name.endswith(_facts(cached)["hash"]):
            raise ValueError(f"{cached} holds other weights than its folder's name says: delete it")
        return cached
    check_cache()
    trained = train_weights(name, data)
    target = folder / f"{place}-{weights_hash(trained.tensors)}"
    with writing_to_cache():
        write_folder(target, lambda at: write_weights(at / f"{name}.safetensors", trained, data))
    return target / f"{name}.safetensors"


def train_weights(name: str, data: ExtractorData) -> train.Trained:
    """Train an extractor by the recipe."""
    what = f"training {name} on {data.title}, once (epochs)"
    return train.train_extractor(EXTRACTORS[name], data.learn(), data.held_out(), data.epochs, what)


def write_weights(path: Path, trained: train.Trained, data: ExtractorData) -> None:
    """Write weights with what they were made from."""
    metadata = {
        "recipe": str(train.RECIPE_VERSION),
        "data": data.fingerprint,
        "accuracy": f"{trained.accuracy:.4f}",
        "title": data.title,
    }
    if trained.accuracies:
        read = EXTRACTORS[path.stem].READS
        metadata["accuracies"] = json.dumps({n: round(a, 4) for n, a in zip(read, trained.accuracies, strict=True)})
    write_tensors(path, trained.tensors, metadata)


def weights_hash(tensors: Mapping[str, Tensor]) -> str:
    """12 hexadecimal digits of the tensors' names, types, shapes and bits."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:12]


def _made_for(file: Path, data: ExtractorData) -> bool:
    facts = _metadata(file)
    return facts.get("recipe") == str(train.RECIPE_VERSION) and facts.get("data") == data.fingerprint


def _facts(file: Path) -> dict[str, str]:
    with _reading(file):
        return read_metadata(file) | {"hash": weights_hash(read_tensors(file))}


def _metadata(file: Path) -> dict[str, str]:
    with _reading(file):
        return read_metadata(file)


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    """A damaged file is one line."""
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file} can't be read as weights: {error}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
