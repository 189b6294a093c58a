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
from torch import Tensor, nn

from harness.evaluation.extractors import train
from harness.evaluation.extractors.networks import DIMENSION, EXTRACTORS, SmallExtractor
from harness.evaluation.extractors.published import PUBLISHED, open_published, published_file, sha256
from harness.evaluation.extractors.training_data import EXTRACTOR_DATA, ExtractorData
from harness.files.cache import cache_folder, check_cache, writing_to_cache
from harness.files.tensors import SafetensorError, read_metadata, read_tensors, write_tensors
from harness.files.writing import write_folder
from harness.records.metrics import EXTRACTOR
from harness.records.progress import report_progress
from harness.training.device import full_float32, numerics

_log = logging.getLogger(__name__)

NAMES = (*EXTRACTORS, *PUBLISHED)
_BATCH = 64  # torch-fidelity's own, so that its figures come out to the last bit
BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Extractor:
    """A feature extractor, ready: `weights` is the hash of its weights, `accuracy` what it got right when held out.

    `accuracies` is that of each attribute, where it reads attributes. `classes` names what its logits tell apart, none
    where it has no logits; `dimension` is that of its features; `trained_on` says what it learned to see; `batch` is
    how many images it looks at at once.
    """

    name: str
    weights: str
    module: nn.Module = field(repr=False)
    dimension: int
    classes: tuple[str, ...]
    side: int
    device: torch.device
    trained_on: str
    accuracy: float | None = None
    accuracies: Mapping[str, float] = field(default_factory=dict)
    batch: int = _BATCH

    def protocol(self) -> dict[str, str]:
        """What two values must share to be comparable."""
        resize = "TensorFlow's bilinear" if self.name in PUBLISHED else "bilinear, antialiased"
        return {EXTRACTOR: f"{self.name} {self.weights}", "resize": f"to {self.side}×{self.side}, {resize}"}

    @torch.no_grad()
    def __call__(self, images: Tensor, what: str = "") -> tuple[Tensor, Tensor]:
        """Features (n, dimension) and logits (n, classes or 0) of uint8 images (n, 1 or 3, H, W), float32 on the CPU.

        Computed in full float32 and with deterministic algorithms on any device. The log says how many of `what` were
        looked at; nothing where that is empty.
        """
        if self.module.training:
            raise RuntimeError(f"{self.name} must be in evaluation mode")
        found = []
        with numerics(self.device, deterministic=True, threads=None), full_float32():
            for start in range(0, len(images), self.batch):
                batch = images[start : start + self.batch].to(self.device)
                seen = [part.cpu() for part in self.module(batch.expand(-1, 3, -1, -1).contiguous())]
                found.append((seen[0], seen[1] if self.classes else seen[0].new_empty(len(batch), 0)))
                if what:
                    done = min(start + self.batch, len(images))
                    report_progress(_log, f"{self.name} looks at {what}", done, len(images))
        features, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        return features, logits


def load_extractor(
    name: str,
    device: torch.device,
    root: Path | None = None,
    published: Path | None = None,
) -> Extractor:
    """The extractor `name`, trained now if its weights are neither bundled nor cached.

    Args:
        root: the data root, where `mnistnet` finds MNIST.
        published: the file of weights that others publish, or a folder with such files under their published names;
            None looks where torch.hub keeps them. Nothing is fetched.

    Raises:
        ValueError: an unknown name; weights that are missing, damaged, or not the ones expected.
    """
    if name in PUBLISHED:
        return _published(name, published_file(name, published), device)
    if name not in EXTRACTORS:
        raise ValueError(f"unknown extractor {name!r}; there are: {', '.join(NAMES)}")
    data = EXTRACTOR_DATA[name](root)
    file = _weights_file(name, data)
    facts = _facts(file)
    module = _created(name, file, device)
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


def _published(name: str, file: Path, device: torch.device) -> Extractor:
    kind, module = PUBLISHED[name], open_published(name, file).to(device)
    weights = sha256(file)[:12]
    return Extractor(name, weights, module, kind.dimension, kind.classes, kind.side, device, kind.trained_on)


def _created(name: str, file: Path, device: torch.device) -> SmallExtractor:
    try:
        module = EXTRACTORS[name](file)
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
