"""Golden generators: trained ones kept with their run's facts and figures, so that a change of measuring shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.data import open_data
from harness.data.mixtures import modes_of
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.kept_generator import FACTS, NETWORKS, Golden, GoldenFacts
from harness.evaluation.mode_coverage import coverage_of
from harness.evaluation.protocol import evaluate_sampler, extractor_names, is_image_reference
from harness.files.tensors import write_tensors
from harness.files.writing import write_folder, write_text
from harness.records.metrics import CLASS_COVERAGE, MODES_CAPTURED, MODES_WITH_MASS, MetricValue, series
from harness.training.sampler import Sampler
from reference import Reference

SAMPLES, POINTS = 1000, 10_000
_CPU = torch.device("cpu")
_COUNTED = {metric.name for metric in (CLASS_COVERAGE, MODES_CAPTURED, MODES_WITH_MASS)}
_TOLERANCE = 5e-3  # of a value; other processors round otherwise, and a sample on a threshold is a thousandth


@dataclass(frozen=True)
class GoldenValue:
    """One figure beside the one that was kept; `same` within what other processors make of it."""

    found: MetricValue
    kept: float
    same: bool


def keep_golden(sampler: Sampler, facts: GoldenFacts, target: Path) -> None:
    """Keep the networks that sampling needs, and the figures that they have now, in the new folder `target`.

    Raises:
        ValueError: the reference draws neither images nor points on the grid.
    """
    needed = _Noticing(sampler.networks)
    values, _, extractor = measure(Sampler(sampler.reference, needed, sampler.device, sampler.seed))
    tensors = {f"network/{role}/{name}": tensor for role, name, tensor in _tensors(needed.seen)}
    figures = {series(value.metric.name, value.protocol): value.value for value in values}
    complete = asdict(facts) | {"figures": figures, "extractor": extractor}

    def fill(at: Path) -> None:
        write_tensors(at / NETWORKS, tensors)
        write_text(at / FACTS, json.dumps(complete, indent=1) + "\n")

    write_folder(target, fill)


def measure(sampler: Sampler) -> tuple[list[MetricValue], Tensor, str]:
    """What a generator is worth on what is bundled, its samples, and what looked at them.

    The samples are uint8 images (n, C, H, W), or points (n, 2).

    Raises:
        ValueError: its reference draws neither images nor points on the grid.
    """
    reference: Reference = sampler.reference
    card = reference.card
    if modes := modes_of(card):
        points = sampler.draw(POINTS).double()
        found = coverage_of(points.numpy(), modes)
        return [value for value in found.values() if not np.isnan(value.value)], points, ""
    if not is_image_reference(card):
        raise ValueError(f"{card.name} is on {card.dataset!r}: neither images nor points of the grid")
    dataset = open_data(reference, None)
    extractor = load_extractor(extractor_names(card, dataset, None)[0], _CPU)
    shown: list[Tensor] = []
    values = evaluate_sampler(sampler, dataset, SAMPLES, extractor, show=shown.append)
    return values, shown[0], f"{extractor.name} {extractor.weights}"


def held_against(golden: Golden, values: list[MetricValue]) -> list[GoldenValue]:
    """Each value beside the one that was kept; a new metric has none, and is left out.

    Raises:
        ValueError: a figure that was kept isn't measured any more.
    """
    by_series = {series(value.metric.name, value.protocol): value for value in values}
    missing = sorted(golden.facts.figures.keys() - by_series.keys())
    if missing:
        raise ValueError(f"{golden.name}: {', '.join(missing)} was kept and isn't measured any more")
    found = []
    for name, kept in golden.facts.figures.items():
        value = by_series[name]
        within = 0.0 if value.metric.name in _COUNTED else _TOLERANCE * max(1.0, abs(kept))
        found.append(GoldenValue(value, kept, abs(value.value - kept) <= within))
    return found


class _Noticing(dict[str, nn.Module]):
    """Networks by role, with those that were asked for."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__(networks)
        self.seen: dict[str, nn.Module] = {}

    def __getitem__(self, role: str) -> nn.Module:
        self.seen[role] = super().__getitem__(role)
        return self.seen[role]


def _tensors(networks: Mapping[str, nn.Module]) -> Iterator[tuple[str, str, Tensor]]:
    for role, network in networks.items():
        for name, tensor in network.state_dict().items():
            yield role, name, tensor
