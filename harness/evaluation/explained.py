"""What `gan-harness explain-fid` looks at: images of a run, a folder or a function; or two evaluations' records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.compared import choose_extractor, given_images, real_images
from harness.evaluation.explain import Explanation, Sides, explain
from harness.evaluation.explain_options import ExplainOptions
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.extractors.published import given_extractors
from harness.evaluation.generate import generate
from harness.evaluation.images import to_bytes
from harness.evaluation.protocol import RealImages
from harness.records.metrics import FID, STATISTICS, TRAINING
from harness.records.record import Record, read_records
from harness.records.report_folder import RECORDS
from harness.training.device import resolve_device
from harness.training.load_run import restore_run, run_data
from harness.training.run_folder import RUN_FILE
from harness.training.sampler import Sampler
from reference import load_module

_OF_THE_RECORD = ("n", "data", "epochs", "batch_size", "profile")


@dataclass(frozen=True)
class Difference:
    """A field in which two evaluations differ."""

    field: str
    here: str
    there: str


def explain_images(options: ExplainOptions) -> tuple[Explanation, str]:
    """What other FIDs the same images have, and in words what they are.

    Raises:
        ValueError: something that can't be measured, in one line.
    """
    for module in options.modules:
        load_module(module)
    is_run = (Path(options.images) / RUN_FILE).is_file()
    if not is_run and not options.against:
        raise ValueError(
            f"what {options.images} is held against isn't said: explain-fid A B, B a reference or a folder"
        )
    if not Path(options.images).is_dir() and ":" not in options.images:
        raise ValueError(f"{options.images!r} is neither a folder of a run or of images, nor module:callable")
    device = resolve_device(options.device)
    generated, real, extractor = _images(options, device)
    n = min(len(generated), len(real.dataset), options.count)
    sides = Sides(
        generated[linspace_indices(len(generated), n)],
        _some(real, real.dataset, linspace_indices(len(real.dataset), n)),
        dict(_other_real_images(real, n)),
    )
    given = given_extractors(options.extractor_weights) if options.extractor_weights else []
    further = [
        load_extractor(name, device, None, options.extractor_weights) for name in given if name != extractor.name
    ]
    title = f"{options.images}, {n:,} images against as many of {real.dataset.title}, by {extractor.name}"
    return explain(sides, extractor, further), title


def explain_records(here: Path, there: Path) -> tuple[list[Difference], tuple[float, float]]:
    """The fields in which two evaluations differ, and their FIDs.

    Raises:
        ValueError: one holds no FID, or several of which nobody knows which is meant.
    """
    one, other = (_fid_record(folder) for folder in (here, there))
    facts = [
        {name: str(getattr(r, name)) for name in _OF_THE_RECORD} | dict(r.protocol) | {"reference": r.reference}
        for r in (one, other)
    ]
    names = dict.fromkeys([*facts[0], *facts[1]])
    found = [Difference(name, facts[0].get(name, "–"), facts[1].get(name, "–")) for name in names]
    assert one.value is not None
    assert other.value is not None
    return [difference for difference in found if difference.here != difference.there], (one.value, other.value)


def is_evaluation(path: str) -> bool:
    """Whether records lie there."""
    return bool(path) and (Path(path) / RECORDS).is_file()


def _fid_record(folder: Path) -> Record:
    plain = [
        r
        for r in read_records(folder / RECORDS)
        if r.metric == FID.name and r.status == "measured" and not {STATISTICS, TRAINING} & r.protocol.keys()
    ]
    if len(plain) != 1:
        raise ValueError(f"{folder} holds {len(plain)} FIDs: name the folder of one evaluation")
    return plain[0]


def _images(options: ExplainOptions, device: torch.device) -> tuple[Tensor, RealImages, Extractor]:
    if (Path(options.images) / RUN_FILE).is_file():
        run = restore_run(Path(options.images), device)
        dataset, root = run_data(run, options.data_root, None)
        card = run.reference.card
        extractor = choose_extractor(options.evaluation, card, dataset, device, root)
        n = min(options.count, len(dataset))
        made = generate(Sampler(run.reference, run.networks, device, options.seed), n, dataset)
        return made, RealImages.of(card, dataset), extractor
    real, extractor = real_images(options.evaluation, device)
    asked = options.evaluation
    if Path(options.images).is_dir():  # as many as are there, of which some are taken
        asked = replace(asked, count=None)
    made, _, _ = given_images(options.images, asked, real)
    return made, real, extractor


def _other_real_images(real: RealImages, n: int) -> Sequence[tuple[str, Tensor]]:
    """Real images that somebody else may have held theirs against."""
    dataset = real.dataset
    spread = set(linspace_indices(len(dataset), n).tolist())
    rest = torch.tensor([place for place in range(len(dataset)) if place not in spread], dtype=torch.int64)
    found = [("the first as they lie there", _some(real, dataset, torch.arange(n)))]
    if len(rest) >= n:
        found.append(("others of the same set", _some(real, dataset, rest[linspace_indices(len(rest), n)])))
    if real.held_out is not None:
        places = linspace_indices(len(real.held_out), n)
        found.append((f"held-out ones ({len(places):,})", _some(real, real.held_out, places)))
    return found


def _some(real: RealImages, dataset: Dataset, places: Tensor) -> Tensor:
    """uint8 images (n, C, H, W) of a data set."""
    parts = [
        to_bytes(dataset[some].data.reshape(-1, *real.shape), real.value_range) for some in torch.split(places, 512)
    ]
    return torch.cat(parts)
