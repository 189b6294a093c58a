"""What `gan-harness sample` does: a run or a reference, one way of looking, and the files that come of it."""

from __future__ import annotations

import functools
import itertools
import json
import math
from pathlib import Path

import numpy as np

from harness.data import Dataset
from harness.files.figures import save_picture
from harness.files.writing import write_text
from harness.latents.modes import make_sample_grid
from harness.latents.options import SampleOptions
from harness.latents.probe import Labelled, LinearProbe, labelled_digits, labelled_faces
from harness.latents.vectors import save_vectors
from harness.training.device import resolve_device
from harness.training.given_weights import without_weights
from harness.training.load_run import RestoredRun, restore_run, run_data, untrained_run
from harness.training.run_folder import folder_name
from harness.training.sample_grids import picture_of
from harness.training.sampler import Sampler
from reference import Card, get, load_module, names

_READ = 10_000
_SUFFIXES = (".png", ".npy", ".txt", ".safetensors", ".json")


def sample_run(options: SampleOptions) -> str:
    """Make the grid and write its files; returns what to tell the user.

    Raises:
        ValueError: neither a run's folder nor a reference; or what `make_sample_grid` says.
    """
    for module in options.modules:
        load_module(module)
    restored, default = _restored(options)
    config, card = restored.config, restored.reference.card
    if card.classes and not 0 <= options.label < card.classes:
        raise ValueError(f"--label must be from 0 to {card.classes - 1}, not {options.label}")

    @functools.cache
    def data() -> tuple[Dataset, Path | None]:  # only asked for by those who need them: the folder may have gone since
        return run_data(restored, options.data_root, options.pack)

    sampler = Sampler(restored.reference, restored.networks, restored.device, options.seed)
    grid = make_sample_grid(sampler, options, lambda: data()[0], lambda attribute: _reader(card, *data(), attribute))

    target = options.out or default
    aside = _set_aside(target)
    save_picture(target, picture_of(grid.images, card.data_range, grid.columns))
    np.save(target.with_suffix(".npy"), grid.images.numpy())
    suffixes = [".npy"]
    if grid.latents is not None:
        others = {} if grid.vector is None else {"semantic_vector": grid.vector}
        suffixes += [path.suffix for path in save_vectors(target, grid.latents, **others)]
    if grid.numbers:
        numbers = {name: None if math.isnan(value) else value for name, value in grid.numbers.items()}
        write_text(target.with_suffix(".json"), json.dumps(numbers, indent=1) + "\n")
        suffixes.append(".json")
    broken = int((~grid.images.isfinite().flatten(1).all(1)).sum())
    told = f"; {broken} hold NaN or infinite values" if broken else ""
    told += "".join(f"; {name} {value:.4g}" for name, value in grid.numbers.items())
    what = f"{len(grid.images)} samples" if options.mode == "random" else f"{options.mode}, {len(grid.images)} images"
    return f"{what} of {config.reference} {restored.age}{told}: {target}, beside it {', '.join(suffixes)}" + (
        f"; what was there is kept: {aside}" if aside else ""
    )


def _set_aside(target: Path) -> Path | None:
    """Give what an earlier call wrote other names: where it lies now, None where there was nothing.

    Raises:
        ValueError: files lie there that no earlier call wrote, for it would have left a picture.
    """
    files = [path for path in (target.with_suffix(suffix) for suffix in _SUFFIXES) if path.exists()]
    if not files:
        return None
    if not target.exists():
        raise ValueError(
            f"{files[0]} is there already and no sample's, for there is no picture beside it: name another"
        )
    for number in itertools.count(1):
        others = {path: path.with_name(f"{path.stem}.{number}{path.suffix}") for path in {*files, target}}
        if not any(other.exists() for other in others.values()):
            break
    for path in files:
        path.rename(others[path])
    return others[target]


def _restored(options: SampleOptions) -> tuple[RestoredRun, Path]:
    """The run, and where its picture goes by default."""
    run, device = options.run, resolve_device(options.device)
    stem = "sample" if options.mode == "random" else options.mode
    if not Path(run).is_dir() and run.partition("@")[0] in names():
        weights = without_weights(run)[1]
        if not (options.untrained or weights or getattr(get(run), "checkpoint", None)):
            raise ValueError(
                f"{run} is a reference and no run: train it and name the run's folder, name somebody's weights as "
                f"'{run}@weights=FILE', or ask for its untrained networks with --untrained"
            )
        called = folder_name(without_weights(run)[0]) + (f"-{weights.stem}" if weights else "")
        return untrained_run(run, device), Path("runs") / f"{called}-{stem}-seed{options.seed}.png"
    return restore_run(Path(run), device), Path(run) / f"{stem}-seed{options.seed}.png"


def _reader(card: Card, dataset: Dataset, root: Path | None, attribute: str) -> LinearProbe:
    """A probe of a digit, where the card's data have labels, else of an attribute of faces."""
    if card.dataset in ("celeba", "celeba-hq"):
        return LinearProbe(labelled_faces(card.data_shape, card.data_range, root, attribute, _READ))
    if not card.dataset.startswith("mnist"):
        raise ValueError(f"--attribute reads faces and digits; of {card.dataset} it can say nothing: use --labels FILE")
    digits = labelled_digits(dataset, _READ)
    if attribute not in {str(digit) for digit in set(digits.labels.tolist())}:
        raise ValueError(f"--attribute must be a digit for {card.dataset}, not {attribute!r}")
    return LinearProbe(
        Labelled(
            digits.images,
            (digits.labels == int(attribute)).astype(np.int64),
            digits.title,
            digits.real,
            digits.fingerprint,
        )
    )
