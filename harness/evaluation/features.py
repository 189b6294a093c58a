"""Images as an extractor sees them; those of a data set are kept, so that no evaluation computes them twice."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.extractors.extractor import Extractor
from harness.evaluation.images import check_varied, to_bytes
from harness.files.cache import cache_folder, check_cache, writing_to_cache
from harness.files.tensors import SafetensorError, read_tensors, write_tensors
from harness.files.writing import write_folder
from harness.records.progress import report_progress

MAX_TRAINING_IMAGES = 60_000  # images among which the nearest one is looked for
_READ = 512
_FILE = "features.safetensors"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """What an extractor gives for n images: features (n, dimension) and logits (n, classes), float32."""

    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, chosen: Tensor) -> Features:
        """Those of some images."""
        return Features(self.features[chosen], self.logits[chosen])


def features_of(images: Tensor, extractor: Extractor, what: str = "images") -> Features:
    """The features of uint8 images (n, C, H, W).

    Raises:
        ValueError: they are all the same, or each of one even colour.
    """
    check_varied(images, what)
    return Features(*extractor(images, what))


def real_features(
    dataset: Dataset,
    shape: tuple[int, ...],
    value_range: tuple[float, float],
    extractor: Extractor,
) -> Features:
    """The features of a data set, of at most 60,000 images evenly spread: from the cache, or computed and kept there.

    Raises:
        ValueError: an image can't be read, or the kept file is damaged.
        CacheError: the cache can't be written.
    """
    key = {
        **extractor.protocol(),
        "data": dataset.fingerprint,
        "shape": list(shape),
        "range": list(value_range),
        "most": MAX_TRAINING_IMAGES,
        "device": extractor.device.type,
        "torch": torch.__version__,
    }
    folder = cache_folder() / "features" / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    if not folder.is_dir():
        check_cache()
        chosen = linspace_indices(len(dataset), MAX_TRAINING_IMAGES)
        found = []
        for start in range(0, len(chosen), _READ):
            images = to_bytes(dataset[chosen[start : start + _READ]].data, value_range)
            found.append(extractor(images))
            done = min(start + _READ, len(chosen))
            report_progress(_log, f"{extractor.name} looks at {dataset.title}, once", done, len(chosen))
        features, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        with writing_to_cache():
            write_folder(folder, partial(_write, features=features, logits=logits, key=key))
    try:
        kept = read_tensors(folder / _FILE)
        return Features(kept["features"], kept["logits"])
    except (OSError, SafetensorError, KeyError) as error:
        raise ValueError(f"{folder} holds damaged features ({error}): delete it") from error


def _write(folder: Path, *, features: Tensor, logits: Tensor, key: dict[str, object]) -> None:
    write_tensors(folder / _FILE, {"features": features, "logits": logits}, {"of": json.dumps(key)})
