"""A linear probe: says of an image which digit it shows, or whether it has an attribute. Simple on purpose.

It is fitted on labelled images and its accuracy is measured on held-out ones, so that whoever reads a figure that rests
on it knows how far to trust it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.data.image_folder import ATTRIBUTES, FOLDER, ImageFolder
from harness.data.registry import faces_with_attributes

_SIDE = 32
_READING_SIDE = 64


@dataclass(frozen=True)
class Labelled:
    """Images (n, …) of a data set and their labels (n,): whole numbers, or true and false.

    `fingerprint` changes with the data set and with the file that the labels are from.
    """

    images: Tensor
    labels: NDArray[np.int64]
    title: str
    real: bool
    fingerprint: str


class LinearProbe:
    """Logistic regression on pixels (large images averaged down to 32×32), fitted on three quarters of the images.

    `accuracy` is that on the last quarter; `title` and `real` say what the images were.

    Raises:
        ValueError: there is only one label, or too few images.
    """

    def __init__(self, data: Labelled) -> None:
        # Slow to import, and only the suites and modes that read images need it.
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._side = min(_SIDE, data.images.shape[-1]) if data.images.dim() == 4 else 0
        features = self._features(data.images)
        fitted = len(features) * 3 // 4
        if len(set(data.labels[:fitted].tolist())) < 2 or len(data.labels) - fitted < 2:
            raise ValueError(f"a probe takes images of at least two kinds, not {len(features)} of {data.title}")
        regression = LogisticRegression(C=1e-3, max_iter=300)
        self._model = make_pipeline(StandardScaler(), regression).fit(features[:fitted], data.labels[:fitted])
        self.accuracy = float(self._model.score(features[fitted:], data.labels[fitted:]))
        self.title, self.real, self._fingerprint = data.title, data.real, data.fingerprint

    def described(self) -> dict[str, str]:
        """What a record that rests on this probe must say of it."""
        fitted = f"{self.title} ({self._fingerprint})"
        return {"probe": f"linear, fitted on {fitted}, held-out accuracy {self.accuracy:.4f}"}

    def predict(self, images: Tensor) -> NDArray[np.int64]:
        """The most likely label of each image, (n,)."""
        return np.asarray(self._model.predict(self._features(images)), np.int64)

    def probability(self, images: Tensor) -> NDArray[np.float64]:
        """The probability of the larger label (true) for each image, (n,)."""
        return np.asarray(self._model.predict_proba(self._features(images))[:, -1], np.float64)

    def _features(self, images: Tensor) -> NDArray[np.float64]:
        """Pixels as one row per image, at the side that the probe was fitted on: a growing network's are smaller."""
        if images.dim() == 4 and images.shape[-1] != self._side:
            images = adaptive_avg_pool2d(images, self._side)
        return images.flatten(1).double().numpy()


def labelled_digits(dataset: Dataset, most: int) -> Labelled:
    """Up to `most` images of a data set with class labels, evenly spread.

    Raises:
        ValueError: the data set has no labels.
    """
    batch = dataset[linspace_indices(len(dataset), most)]
    if batch.labels is None:
        raise ValueError(f"{dataset.title} has no class labels")
    return Labelled(batch.data, batch.labels.numpy(), dataset.title, dataset.real, dataset.fingerprint)


def labelled_faces(
    shape: tuple[int, ...], value_range: tuple[float, float], root: Path | None, attribute: str, most: int
) -> Labelled:
    """Up to `most` faces of CelebA or its stand-in, and whether each has `attribute`.

    Raises:
        ValueError: no attribute file, one that doesn't fit the pictures, or an attribute that it doesn't have.
    """
    at, attributes, title, real = faces_with_attributes(root)
    if attribute not in attributes.names:
        raise ValueError(f"unknown attribute {attribute!r}; {title} has: {', '.join(attributes.names)}")
    side = min(_READING_SIDE, shape[-1])  # a probe sees no more than 32×32 of it
    folder = ImageFolder(at / FOLDER, (3, side, side), value_range, title, real)
    row = {file: index for index, file in enumerate(attributes.files)}
    missing = [file.name for file in folder.files if file.name not in row]
    if missing:
        more = f" and {len(missing) - 1} other pictures" if len(missing) > 1 else ""
        raise ValueError(f"{at / ATTRIBUTES} says nothing of {missing[0]}{more}")
    chosen = linspace_indices(len(folder), most)
    values = attributes.values[:, attributes.names.index(attribute)]
    labels = [int(values[row[folder.files[index].name]]) for index in chosen.tolist()]
    digest = hashlib.sha256((at / ATTRIBUTES).read_bytes()).hexdigest()[:16]
    return Labelled(folder[chosen].data, np.array(labels), title, real, f"{folder.fingerprint}, attributes {digest}")
