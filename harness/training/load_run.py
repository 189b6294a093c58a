"""A trained run, read back from its folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from harness.data import Dataset, Reading, open_data
from harness.data.registry import brings_data, data_root
from harness.training.checkpoint import Checkpoint, newest_checkpoint
from harness.training.config import RunConfig
from harness.training.given_weights import UNTOLD, read_weights, weighted_networks, without_weights
from harness.training.networks import drawn_networks
from harness.training.run_folder import RunFolder
from harness.training.state import load_network
from reference import Reference, get, load_module, spec_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RestoredRun:
    """The networks of a run as its newest readable checkpoint has them, after `step` steps.

    `data` is what it was trained on, as its folder says; None for networks that were never trained here. `weights`
    names the file of somebody else's, "" for none.
    """

    config: RunConfig
    reference: Reference
    networks: dict[str, nn.Module]
    device: torch.device
    step: int
    data: TrainedOn | None = None
    weights: str = ""

    @property
    def age(self) -> str:
        """`after step 500`, or whose weights they are."""
        return f"with the weights {self.weights}" if self.weights else f"after step {self.step}"


@dataclass(frozen=True)
class TrainedOn:
    """The title and the fingerprint of a run's data."""

    title: str
    fingerprint: str


def run_data(run: RestoredRun, asked: Path | None, pack: Path | None = None) -> tuple[Dataset, Path | None]:
    """The data that a run was trained on, and the data root that holds them; None for what needs none.

    They are looked for where the user says, else where the run had them, else in GAN_HARNESS_DATA; `pack` is where the
    pack lies that it was trained on.

    Raises:
        ValueError: other data lie there.
    """
    config = run.config
    kept = Path(config.data_root) if config.data_root else None
    gone = kept is not None and not kept.is_dir()
    own = brings_data(run.reference)
    on_stand_ins = run.data is not None and kept is None
    root = None if on_stand_ins and asked is None else data_root(asked or (None if gone else kept), own=own)
    reading = Reading(str(pack) if pack else config.pack, config.skip_damaged)
    dataset = open_data(run.reference, root, reading)
    if run.data is not None and dataset.fingerprint != run.data.fingerprint:
        place = f" in {kept}" + (", which isn't there any more" if gone else "") if kept else ""
        raise ValueError(
            f"the run was trained on {run.data.title} ({run.data.fingerprint}){place}; found was {dataset.title} "
            f"({dataset.fingerprint}): name the place of its own data with --data-root"
        )
    return dataset, root


def untrained_run(spec: str, device: torch.device) -> RestoredRun:
    """A reference as it makes its networks with its card's seed: untrained, or from the file that an option names.

    Raises:
        ValueError: no such reference, its networks can't be made, or the weights don't fit them.
    """
    plain, weights = without_weights(spec)
    reference = get(plain)
    card = reference.card
    config = RunConfig(spec_of(reference), card.seed, card.batch_size, steps=1)
    if weights is None:
        return RestoredRun(config, reference, drawn_networks(reference, card.seed, device), device, 0)
    networks, told = weighted_networks(reference, read_weights(weights), device)
    _log.info(f"weights of {told}; {UNTOLD}")
    return RestoredRun(config, reference, networks, device, 0, weights=weights.name)


def restore_run(path: Path, device: torch.device) -> RestoredRun:
    """Read the run in the folder `path`, as its newest checkpoint has it.

    Raises:
        ValueError: not a run's folder, no checkpoint, only damaged ones, or one that doesn't fit its reference.
    """
    return _restored(path, device, newest_checkpoint(RunFolder(path).checkpoints))


def restore_best(path: Path, device: torch.device) -> RestoredRun | None:
    """The same with the networks that a watchdog kept; None where it kept none.

    Raises:
        ValueError: as `restore_run`.
    """
    kept = newest_checkpoint(RunFolder(path).best)
    return None if kept is None else _restored(path, device, kept)


def _restored(path: Path, device: torch.device, checkpoint: Checkpoint | None) -> RestoredRun:
    config, facts = RunFolder(path).read_run()
    for module in config.reference_modules:
        load_module(module)
    reference = get(config.reference)
    if checkpoint is None:
        raise ValueError(f"{path} has no checkpoint yet")
    for key, value in (("reference", config.reference), ("seed", str(config.seed))):
        if checkpoint.identity.get(key) != value:
            raise ValueError(
                f"the checkpoint of step {checkpoint.step} is another run's: {key} {checkpoint.identity.get(key)}, "
                f"not {value}"
            )
    networks = drawn_networks(reference, config.seed, torch.device("cpu"))
    for role, network in networks.items():
        try:
            load_network(network, role, checkpoint.tensors, checkpoint.scalars)
        except RuntimeError as error:
            raise ValueError(f"the checkpoint of step {checkpoint.step} doesn't fit the {role}: {error}") from error
        network.to(device)
    trained_on = TrainedOn(facts["data"], facts["data_fingerprint"])
    return RestoredRun(config, reference, networks, device, checkpoint.step, trained_on)
