"""Samples against real images, and whether they are as good as they were."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from harness.comparison.permutation import holm, permutation_test, smallest_p
from harness.evaluation.compared import StoredImages
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.images import as_images, to_bytes
from harness.evaluation.protocol import RealImages, evaluate_images
from harness.files.git import revision_here
from harness.files.writing import write_text
from harness.records.metrics import CLASS_SHARE, METRICS, series

SAVE = "GAN_HARNESS_SAVE_BASELINE"
_ALPHA = 0.05
Figures = Mapping[str, float]


def measure_images(
    images: Tensor,
    real: Tensor,
    *,
    extractor: str,
    value_range: tuple[float, float] = (-1.0, 1.0),
    device: str | torch.device = "cpu",
    extractor_weights: Path | None = None,
) -> dict[str, float]:
    """FID, KID, inception score, precision, recall, classes: of generated images against as many real ones or more.

    Args:
        images, real: (n, C, H, W) or (n, H, W), of one size: uint8, or floats in `value_range`.
        extractor: who looks: mnistnet, celebanet, facesnet, inception. Only at what it was trained to see do its
            classes mean something.

    Raises:
        ValueError: another size, too few, values out of range, an unknown extractor.
    """
    made, true = (as_images(t) if t.dtype == torch.uint8 else to_bytes(t, value_range) for t in (images, real))
    shown = RealImages(StoredImages(true, "the real images"), tuple(true.shape[1:]), (0.0, 1.0))
    looks = load_extractor(extractor, torch.device(device), None, extractor_weights)
    found = evaluate_images(made, shown, looks, {}, count=min(len(made), len(true)))
    return {series(v.metric.name, v.protocol): v.value for v in found if v.metric is not CLASS_SHARE}


def assert_kept(figures: Sequence[Figures], baseline: Path) -> None:
    """Hold figures, one mapping for each seed, against those that a file keeps.

    With GAN_HARNESS_SAVE_BASELINE set they are written there instead, with the commit that they are of. Each metric is
    judged by an exact permutation test, all together at 5 % (Holm); five seeds on either side can tell up to six
    metrics. Only names of metrics that know which way is better are judged, and only those that both sides have.

    Raises:
        AssertionError: something got worse, with by how much.
        ValueError: no file, nothing in common, or too few seeds to tell anything.
    """
    if not figures:
        raise ValueError("there are no figures: give one mapping for each seed")
    if os.environ.get(SAVE):
        revision, clean = revision_here()
        kept = {"revision": revision + ("" if clean else ", changed"), "figures": [dict(one) for one in figures]}
        write_text(baseline, json.dumps(kept, indent=1) + "\n")
        return
    if not baseline.is_file():
        raise ValueError(f"there is no {baseline}: run once with {SAVE}=1 to keep these figures")
    before = json.loads(baseline.read_text(encoding="utf-8"))
    sides = [before["figures"], figures]
    names = [name for name in figures[0] if _direction(name) and all(name in one for side in sides for one in side)]
    if not names:
        raise ValueError(f"{baseline} has no metric in common with these: {', '.join(figures[0])}")
    reached = len(names) * smallest_p(*map(len, sides))
    if reached > _ALPHA:
        raise ValueError(
            f"{len(sides[0])} seeds in {baseline.name} and {len(sides[1])} here can't tell anything of {len(names)} "
            f"metrics: the smallest p they can reach is {reached:.2g}"
        )
    base, here = ([{name: float(one[name]) for name in names} for one in side] for side in sides)
    tests = [permutation_test([one[name] for one in base], [one[name] for one in here]) for name in names]
    worse = [
        f"{name} {test.effect:+.4g} (p = {p:.2g})"
        for name, test, p in zip(names, tests, holm([test.p for test in tests]), strict=True)
        if p <= _ALPHA and (test.effect > 0) == (_direction(name) == "lower")
    ]
    assert not worse, f"worse than {baseline.name} of {before['revision'] or 'no commit'}: {'; '.join(worse)}"


def _direction(name: str) -> str:
    """`lower` or `higher`, whichever is better; "" of what isn't known."""
    metric = METRICS.get(name.partition(" [")[0])
    return metric.better if metric is not None and metric.better in ("lower", "higher") else ""
