"""Many samples of a reference as images: in batches of one size, and with both uses of batch normalisation."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import Tensor, nn

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.evaluation.images import to_bytes
from harness.records.progress import report_progress
from harness.training.device import numerics
from harness.training.returned import draw_samples
from harness.training.sampler import Sampler
from harness.training.streams import Streams, sampling
from reference import Card, given_condition

_log = logging.getLogger(__name__)

_BATCH, _MAX_VALUES = 128, 1 << 22


def sampling_batch(card: Card) -> int:
    """How many samples are drawn at once: 128, fewer of large images.

    Batch normalisation ties the samples of a batch together, so this is part of the protocol.
    """
    return max(2, min(_BATCH, _MAX_VALUES // prod(card.data_shape)))


def by_their_batch(sampler: Sampler, dataset: Dataset) -> frozenset[str]:
    """The roles of the networks that `sample` lets normalise by their batch, and that evaluation mode would change.

    What is called when a batch is drawn decides: an averaged generator instead of the trained one, or both.
    """
    found = _called_by_their_batch(sampler, dataset, frozenset())
    return found if found and found != _called_by_their_batch(sampler, dataset, found) else frozenset()


def generate(
    sampler: Sampler, n: int, dataset: Dataset, *, running: frozenset[str] = frozenset(), what: str = "generating"
) -> Tensor:
    """`n` samples as uint8 images (n, C, H, W), drawn in whole batches of one size.

    Labels run through the classes in turn, conditions are evenly spread over `dataset`. The networks whose roles are in
    `running` are in evaluation mode, so that batch normalisation uses its running statistics; the others are as
    documented.

    Raises:
        ValueError: values that aren't finite or leave the range that the card declares.
    """
    card, made = sampler.reference.card, []
    for samples in _batches(sampler, n, dataset, running):
        made.append(to_bytes(samples.cpu(), card.data_range))
        report_progress(_log, f"{card.name}: {what}", min(sum(map(len, made)), n), n)
    return torch.cat(made)[:n]


def _batches(
    sampler: Sampler, n: int, dataset: Dataset, running: frozenset[str], size: int | None = None
) -> Iterator[Tensor]:
    """The batches of `n` samples, as `sample` gives them, each of the usual size or of another."""
    card, device = sampler.reference.card, sampler.device
    noise = Streams(sampler.seed, device).fixed_noise()
    places = linspace_indices(len(dataset), n).repeat(-(-n // min(n, len(dataset))))[:n]
    size = size or sampling_batch(card)
    with (
        numerics(device, deterministic=True, threads=None),
        _evaluating([sampler.networks[role] for role in running]),
        sampling(sampler.networks, device, sampler.seed),
    ):
        for start in range(0, n, size):
            numbers = torch.arange(start, start + size)
            labels = (numbers % card.classes).to(device) if card.classes else None
            condition = None
            if card.condition:
                condition = given_condition(dataset[places[numbers % n]].condition, card, len(numbers)).to(device)
            yield draw_samples(sampler.reference, sampler.networks, size, noise, labels, condition)


def _called_by_their_batch(sampler: Sampler, dataset: Dataset, running: frozenset[str]) -> frozenset[str]:
    """Whose batch normalisation is called in training mode, though it keeps running ones, as one batch is drawn."""
    roles = {layer: role for role, network in sampler.networks.items() for layer in network.modules()}
    found: set[str] = set()

    def notice(layer: nn.Module, _: object) -> None:
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training and layer.track_running_stats:
            found.update({roles[layer]} if layer in roles else ())

    hook = nn.modules.module.register_module_forward_pre_hook(notice)
    try:
        for _ in _batches(sampler, 1, dataset, running, size=2):
            pass
    finally:
        hook.remove()
    return frozenset(found)


@contextlib.contextmanager
def _evaluating(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Within, every part of these networks is in evaluation mode."""
    modes = {module: module.training for network in networks for module in network.modules()}
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
