"""Trained generators that are kept with the facts of their training: golden ones, as evidence and as a yardstick."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.files.tensors import SafetensorError, read_tensors
from harness.training.networks import drawn_networks
from harness.training.sampler import Sampler
from harness.training.state import load_network
from reference import get

NETWORKS, FACTS = "generator.safetensors", "facts.json"
GENERATORS = "generators"  # the folder of a machine's, in the evidence
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class GoldenFacts:
    """What is known of a kept generator.

    Attributes:
        reference: its spec.
        steps: of its training, on `data`, whose content is `data_fingerprint`.
        environment: of the training.
        figures: what it was worth on the CPU when it was kept, by series, on what is bundled.
        extractor: what looked at the images, with the hash of its weights.
    """

    reference: str
    seed: int
    steps: int
    data: str
    data_fingerprint: str
    environment: Mapping[str, Any]
    figures: Mapping[str, float]
    extractor: str = ""


@dataclass(frozen=True)
class Golden:
    """A kept generator, ready to be sampled on the CPU."""

    name: str
    facts: GoldenFacts
    sampler: Sampler


def golden_folders(measured: Path) -> list[Path]:
    """The kept generators below a folder of evidence, by name."""
    return sorted(path.parent for path in measured.glob(f"*/{GENERATORS}/*/{FACTS}"))


def read_golden(folder: Path) -> Golden:
    """The generator kept in `folder`.

    Raises:
        ValueError: it is damaged, or doesn't fit its reference.
    """
    try:
        facts = GoldenFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
        tensors = read_tensors(folder / NETWORKS)
        reference = get(facts.reference)
        networks = drawn_networks(reference, facts.seed, _CPU)
        for role in {name.split("/")[1] for name in tensors}:
            load_network(networks[role], role, tensors, {})
    except (OSError, TypeError, KeyError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder} holds no generator that fits: {' '.join(str(error).split())[:200]}") from error
    return Golden(folder.name, facts, Sampler(reference, networks, _CPU, facts.seed))
