"""From what a run is asked for to what it does: everything that is decided, before anything is written."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.data import Dataset, Reading, batches_per_epoch, open_data
from harness.data.order import decided_window
from harness.data.packed import PackedImages
from harness.data.registry import brings_data
from harness.records.environment import environment, moved_bits
from harness.training.checkpoint import steps_done
from harness.training.config import RunConfig
from harness.training.device import resolve_device, unusable_gpu
from harness.training.flops import step_threads, takes_a_single_sample
from harness.training.run_folder import RunFolder
from reference import Reference, get, load_module

_log = logging.getLogger(__name__)

# Settings that may change between the parts of a resumed run, because they change no bit of it.
_FREE = {
    "steps",
    "epochs",
    "data_root",
    "workers",
    "log_every",
    "sample_every",
    "checkpoint_every",
    "checkpoint_minutes",
    "keep_checkpoints",
    "sample_count",
    "tensorboard",
    "pictures",
    "trace",
    "reference_modules",
    "prefetch",
    "persistent_workers",
    "pin_memory",
    "pack",
}


@dataclass(frozen=True)
class Resolved:
    """What a run does: `config` has no open questions of data, threads and device any more.

    Attributes:
        config: what was asked, with device, threads and window decided.
        total: the steps of the whole run.
        workers: of the loader.
    """

    config: RunConfig
    reference: Reference
    device: torch.device
    dataset: Dataset
    steps_per_epoch: int
    total: int
    workers: int

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says beside the configuration: the data, the machine, and what was left open and decided."""
        card, config = self.reference.card, self.config
        first, every = card.log.first, card.log.every
        return {
            "data": self.dataset.title,
            "data_fingerprint": self.dataset.fingerprint,
            "environment": environment(self.device),
            "resolved": {
                "steps": self.total,
                "steps_per_epoch": self.steps_per_epoch,
                "workers": self.workers,
                "log": _cadence(config.log_every, f"steps {first}, {first + every}, … of each epoch"),
                "sample": _cadence(config.sample_every or card.sample_every, "each epoch")
                if config.sample_every != 0
                else "never",
                "checkpoint": _cadence(config.checkpoint_every, "each epoch"),
            },
        }


def resolve_threads(config: RunConfig, folder: RunFolder, *, resume: bool) -> tuple[Reference, torch.device, int]:
    """The reference, the device, and how many threads compute.

    Raises:
        ValueError: one that can't be had.
    """
    for module in config.reference_modules:
        load_module(module)
    reference, device = get(config.reference), resolve_device(config.device)
    threads = folder.read_run()[0].threads if config.threads is None and resume else config.threads
    return reference, device, step_threads(reference, config.batch_size, device) if threads is None else threads


def resolve(
    config: RunConfig,
    reference: Reference,
    device: torch.device,
    threads: int,
    folder: RunFolder,
    *,
    resume: bool,
) -> Resolved:
    """Open the data, and decide what was left open.

    Raises:
        ValueError: data that can't be opened, or a batch that is larger.
    """
    dataset = _opened(config, reference)
    window = folder.read_run()[0].shuffle_window if config.shuffle_window is None and resume else config.shuffle_window
    if window is None and not dataset.in_memory and not brings_data(reference):
        window = decided_window(len(dataset), reference.card.data_shape)
        if window:
            _log.info(f"all samples don't fit into half of the memory: shuffling {window} at a time")
    window = window or 0
    if isinstance(dataset, PackedImages):
        dataset.hold(window) if window else dataset.map()
    if config.device == "auto" and device.type == "cpu" and unusable_gpu():
        _log.warning(f"computing on the CPU: {unusable_gpu()}")
    steps_per_epoch = batches_per_epoch(len(dataset), config.batch_size, drop_last=reference.card.drop_last)
    return Resolved(
        dataclasses.replace(config, device=str(device), threads=threads, shuffle_window=window),
        reference,
        device,
        dataset,
        steps_per_epoch,
        config.steps or (config.epochs or 0) * steps_per_epoch,
        (0 if dataset.in_memory else 2) if config.workers is None else config.workers,
    )


def _cadence(every: int | None, usual: str) -> str:
    return usual if every is None else f"every {every} steps" if every else "never"


def check_last_batch(config: RunConfig, reference: Reference, dataset: Dataset) -> None:
    """Refuse a last batch of one where the step takes two or more, as batch normalisation does."""
    card = reference.card
    if card.drop_last or len(dataset) % config.batch_size != 1 or config.batch_size == 1:
        return
    if not takes_a_single_sample(reference):
        raise ValueError(
            f"{len(dataset)} samples in batches of {config.batch_size} leave a last batch of 1, and the step of "
            f"{card.name} takes 2 or more, as batch normalisation does: choose another --batch-size, or `drop_last` "
            "in its card"
        )


def _opened(config: RunConfig, reference: Reference) -> Dataset:
    reading = Reading(config.pack, config.skip_damaged)
    dataset = open_data(reference, Path(config.data_root) if config.data_root else None, reading)
    _ = dataset.fingerprint  # to know large data takes a while, the first time
    if config.batch_size > len(dataset):
        raise ValueError(f"a batch of {config.batch_size} is larger than the data set: {len(dataset)} samples")
    return dataset


def check_resumable(folder: RunFolder, resolved: Resolved, facts: dict[str, Any], *, same_bits: bool) -> None:
    """Refuse what would make another run of it; what else may change its bits too with `same_bits`, or log it."""
    earlier, earlier_facts = folder.read_run()
    saved, asked = earlier.to_json(), resolved.config.to_json()
    lines = [
        f"{key}: the run has {saved[key]}, asked was {asked[key]}"
        for key in asked
        if key not in _FREE and saved[key] != asked[key]
    ]
    if earlier_facts["data_fingerprint"] != facts["data_fingerprint"]:
        lines.append(
            f"data: the run has {earlier_facts['data']} ({earlier_facts['data_fingerprint']}), "
            f"found was {facts['data']} ({facts['data_fingerprint']})"
        )
    if lines:
        raise ValueError(f"{folder.path} can't be resumed with other settings: " + "; ".join(lines))
    done = steps_done(folder.checkpoints)
    if done > resolved.total:
        raise ValueError(f"{folder.path} has {done} steps already, more than the {resolved.total} asked for")
    before, now = earlier_facts["environment"], facts["environment"]
    # Runs of earlier versions don't say everything.
    moved = [f"{name} {one}, now {other}" for name, one, other in moved_bits(now | before, now)]
    if moved and same_bits:
        raise ValueError(f"{folder.path} was begun where bits may be others: {'; '.join(moved)}; name another folder")
    if moved:
        _log.warning(f"from here on bits may be others than on one machine: {'; '.join(moved)}")
