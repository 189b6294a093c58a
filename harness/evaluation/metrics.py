"""Sample quality from features: torch-fidelity's FID, IS, KID, precision and recall, and what is built beside them.

Functions from tensors of features to floats. torch-fidelity brings TorchDynamo, which takes seconds: it is imported by
what calls it. Sources: FID, Heusel et al. 2017; IS, Salimans et al. 2016; KID, Bińkowski
et al. 2018; precision and recall, Kynkäänniemi et al. 2019; the extrapolated FID, Chong and Forsyth 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import rel_entr
from torch import Tensor

from harness.data.dataset import linspace_indices
from harness.evaluation.features import Features
from harness.evaluation.memorisation import COPY, Cells, Nearest, Reach, data_copying, distance_ratio, nearest
from harness.evaluation.neighbourhoods import NEIGHBOURS as BALL_NEIGHBOURS
from harness.evaluation.neighbourhoods import density_coverage
from harness.records.metrics import (
    AUTHENTICITY,
    CLASS,
    CLASS_COVERAGE,
    CLASS_KL,
    CLASS_SHARE,
    CLASSES,
    COPIES,
    COVERAGE,
    DATA_COPYING,
    DENSITY,
    FID,
    FID_GAP,
    FID_INFINITE,
    INCEPTION_SCORE,
    KID,
    NN_DISTANCE_RATIO,
    PRECISION,
    RECALL,
    SHARE_OF_0_3_8,
    MetricValue,
)

_SEED = 2020  # torch-fidelity's own
_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1000
_IS_SPLITS = 10
_NEIGHBOURS, _ROWS = 3, 1000
_EXTRAPOLATED_SIZES = 12
COVERED = 0.1
_SAME = 0.05  # of the held-out images may look the same as training images: sets hold some pictures twice


def frechet_distance(generated: Tensor, real: Tensor) -> float:
    """FID of features (n, d) and (m, d).

    Raises:
        ValueError: n or m isn't larger than d: a covariance of so few has no full rank, and the figure means nothing.
    """
    for which, features in (("generated", generated), ("real", real)):
        n, dimension = features.shape
        if n <= dimension:
            raise ValueError(f"FID needs more samples than the features have dimensions ({dimension}): {n} {which}")
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    one, other = fid_features_to_statistics(generated), fid_features_to_statistics(real)
    return float(fid_statistics_to_metric(one, other, verbose=False)[KEY_METRIC_FID])


def extrapolated_frechet_distance(generated: Tensor, real: Tensor) -> float:
    """FID at infinitely many generated samples: FIDs of twelve subsets, a line in 1/n, its value at 0.

    Only the generated side is extrapolated; the real set stays as large as it is.

    Raises:
        ValueError: fewer than twice as many samples as dimensions.
    """
    n, dimension = generated.shape
    if n < 2 * dimension:
        raise ValueError(f"extrapolating FID needs {2 * dimension} samples or more, not {n}")
    from scipy.stats import linregress
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    statistics = fid_features_to_statistics(real)
    random = np.random.RandomState(_SEED)
    sizes = np.linspace(max(dimension + 1, n // 4), n, _EXTRAPOLATED_SIZES).astype(int)
    distances = []
    for size in sizes:
        part = fid_features_to_statistics(generated[torch.from_numpy(random.permutation(n)[:size])])
        distances.append(fid_statistics_to_metric(part, statistics, verbose=False)[KEY_METRIC_FID])
    return float(linregress(1 / sizes, distances).intercept)


def inception_score(logits: Tensor) -> float:
    """IS of logits (n, classes), the mean over ten splits: 1 for one class or none told apart, at most `classes`."""
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    return float(isc_features_to_metric(logits, _IS_SPLITS, True, _SEED)[KEY_METRIC_ISC_MEAN])


def kernel_distance(generated: Tensor, real: Tensor) -> float:
    """KID, the mean over 100 subsets: 0 on average for two samples of one distribution, at any n."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = kid_subset_size(min(len(generated), len(real)))
    found = kid_features_to_metric(
        generated, real, kid_subsets=_KID_SUBSETS, kid_subset_size=size, rng_seed=_SEED, verbose=False
    )
    return float(found[KEY_METRIC_KID_MEAN])


def kid_subset_size(n: int) -> int:
    """torch-fidelity's 1,000, or half of a smaller sample."""
    return min(_KID_SUBSET_SIZE, max(2, n // 2))


def precision_recall(generated: Tensor, real: Tensor, neighbours: int = _NEIGHBOURS) -> tuple[float, float]:
    """The share of generated samples within reach of real ones, and the other way round; the third neighbour's reach.

    Raises:
        ValueError: fewer samples than neighbours.
    """
    if min(len(generated), len(real)) <= neighbours:
        raise ValueError(f"precision and recall need more than {neighbours} samples")
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    found = prc_features_to_metric(
        generated, real, prc_neighborhood=neighbours, prc_batch_size=_ROWS, save_cpu_ram=True, verbose=False
    )
    return found[KEY_METRIC_PRECISION], found[KEY_METRIC_RECALL]


@dataclass(frozen=True)
class ClassCoverage:
    """Which classes samples show.

    Attributes:
        shares: (classes,) share of the samples that are read as each.
        covered: classes with at least a tenth of an even share.
        divergence: KL of the shares to uniform in nats: 0 when even, log(classes) when all show one.
    """

    shares: np.ndarray[tuple[int], np.dtype[np.float64]]
    covered: int
    divergence: float


def class_coverage(logits: Tensor) -> ClassCoverage:
    """Count the most likely class of each sample; logits (n, classes)."""
    n, classes = logits.shape
    shares = np.bincount(logits.argmax(1).numpy(), minlength=classes) / n
    covered = int((shares >= COVERED / classes).sum())
    return ClassCoverage(shares, covered, float(rel_entr(shares, 1 / classes).sum()))


def distances(generated: Features, real: Features) -> list[MetricValue]:
    """FID and KID: how far samples are from real images, whatever they show."""
    kid = {"kid": f"{_KID_SUBSETS} subsets of {kid_subset_size(min(len(generated), len(real)))}, cubic kernel"}
    return [
        MetricValue(FID, frechet_distance(generated.features, real.features)),
        MetricValue(KID, kernel_distance(generated.features, real.features), kid),
    ]


def measure_quality(
    generated: Features,
    real: Features,
    training: Features | None,
    classes: Sequence[str],
    *,
    digits: bool,
    everything: Features | None = None,
    held_out: Features | None = None,
) -> list[MetricValue]:
    """Every metric of generated features against real ones.

    Args:
        real: the comparison set.
        training: all of the training set, for memorisation; None leaves it out.
        classes: the names of the logits' classes; none, or more than a hundred, are not looked at one by one.
        digits: the classes are the ten digits, of which document 004 says that 0, 3 and 8 dominate.
        everything: what `generated` was chosen from, where it is more; all of it is looked through for copies.
        held_out: real images that nothing is trained on; without them the two measures that take such are left out.

    Raises:
        ValueError: too few samples.
    """
    values = distances(generated, real)
    if generated.logits.shape[1]:
        values.append(MetricValue(INCEPTION_SCORE, inception_score(generated.logits), {"is": f"{_IS_SPLITS} splits"}))
    neighbours = {"neighbours": str(_NEIGHBOURS)}
    precision, recall = precision_recall(generated.features, real.features)
    values += [MetricValue(PRECISION, precision, neighbours), MetricValue(RECALL, recall, neighbours)]
    density, coverage = density_coverage(generated.features, real.features)
    balls = {"neighbours": str(BALL_NEIGHBOURS)}
    values += [MetricValue(DENSITY, density, balls), MetricValue(COVERAGE, coverage, balls)]
    if len(generated) >= 2 * generated.features.shape[1]:
        infinite = extrapolated_frechet_distance(generated.features, real.features)
        values.append(MetricValue(FID_INFINITE, infinite, {"sizes": str(_EXTRAPOLATED_SIZES)}))
    if 0 < len(classes) <= 100:
        values += _coverage_values(class_coverage(generated.logits), classes, digits=digits)
    if training is not None:
        looked = generated if everything is None else everything
        values += _memorisation_values(looked.features, training.features, held_out.features if held_out else None)
        if held_out is not None:
            values += _gap_values(generated.features, real.features, held_out.features)
    return values


def _memorisation_values(generated: Tensor, training: Tensor, held_out: Tensor | None) -> list[MetricValue]:
    how = {"training images": str(len(training)), "looked through": str(len(generated))}
    near = nearest(generated, training)
    reach = Reach.of(near, training)
    values = [
        MetricValue(NN_DISTANCE_RATIO, distance_ratio(near, training), how),
        MetricValue(COPIES, reach.copies, how | {"nearer than": f"{COPY:g} of the usual distance"}),
        MetricValue(AUTHENTICITY, reach.authentic, how),
    ]
    if held_out is not None:
        others = nearest(held_out, training)
        _check_apart(others)
        score = data_copying(generated, held_out, near, others, Cells.of(training))
        if score is not None:
            values.append(MetricValue(DATA_COPYING, score, how | {"held out": str(len(held_out))}))
    return values


def _check_apart(held_out: Nearest) -> None:
    """Raises ValueError for held-out images that are training images."""
    same = int((held_out.distances == 0).sum())
    if same > _SAME * len(held_out.distances):
        raise ValueError(f"{same} of {len(held_out.distances)} held-out images are training images: hold out others")


def _gap_values(generated: Tensor, real: Tensor, held_out: Tensor) -> list[MetricValue]:
    """FID to held-out images minus that to as many training images: the fewer, the larger a FID is."""
    n, dimension = min(len(real), len(held_out)), real.shape[1]
    if n <= dimension:
        return []
    some = [rows[linspace_indices(len(rows), n)] for rows in (held_out, real)]
    farther, nearer = (frechet_distance(generated, rows) for rows in some)
    return [MetricValue(FID_GAP, farther - nearer, {"held out": str(n)})]


def _coverage_values(found: ClassCoverage, classes: Sequence[str], *, digits: bool) -> list[MetricValue]:
    values = [
        MetricValue(CLASS_COVERAGE, found.covered, {CLASSES: str(len(classes))}),
        MetricValue(CLASS_KL, found.divergence),
    ]
    if digits:
        values.append(MetricValue(SHARE_OF_0_3_8, float(found.shares[[0, 3, 8]].sum())))
    each = zip(classes, found.shares, strict=True)
    return values + [MetricValue(CLASS_SHARE, float(share), {CLASS: name}) for name, share in each]
