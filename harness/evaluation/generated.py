"""Many samples of a reference as images: in batches of one size, and with both uses of batch normalisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from math import prod

import torch
from torch import Tensor, nn

from harness.data import Dataset
from harness.data.dataset import evenly_spread
from harness.evaluation.features import Said, silent
from harness.evaluation.images import to_bytes
from harness.evaluation.sampler import Sampler
from harness.training.device import numerics
from harness.training.streams import Streams, sampling
from reference import Card, given_condition

_BATCH, _MOST_VALUES = 128, 1 << 22


def sampling_batch(card: Card) -> int:
    """How many samples are drawn at once: 128, fewer of large images.

    Batch normalisation ties the samples of a batch together, so this is part of the protocol.
    """
    return max(2, min(_BATCH, _MOST_VALUES // prod(card.data_shape)))


def uses_batch_statistics(networks: Mapping[str, nn.Module]) -> bool:
    """Whether the generator, as it is, normalises by its batch and could do so by running statistics."""
    layers = networks["generator"].modules() if "generator" in networks else ()
    return any(
        isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training and layer.track_running_stats
        for layer in layers
    )


def generate(sampler: Sampler, n: int, dataset: Dataset, *, running: bool = False, said: Said = silent) -> Tensor:
    """`n` samples as uint8 images (n, C, H, W), drawn in whole batches of one size.

    Labels run through the classes in turn, conditions are evenly spread over `dataset`. With `running`, the generator
    is in evaluation mode, so that batch normalisation uses its running statistics; otherwise it is as documented.

    Raises:
        ValueError: values that aren't finite or leave the range that the card declares.
    """
    card, device = sampler.reference.card, sampler.device
    noise = Streams(sampler.seed, device).fixed_noise()
    places = evenly_spread(len(dataset), n).repeat(-(-n // min(n, len(dataset))))[:n]
    made, size = [], sampling_batch(card)
    with (
        numerics(device, deterministic=True, threads=None),
        _evaluating(sampler.networks["generator"], running),
        sampling(sampler.networks, device, sampler.seed),
    ):
        for start in range(0, n, size):
            numbers = torch.arange(start, start + size)
            labels = (numbers % card.classes).to(device) if card.classes else None
            condition = None
            if card.condition:
                condition = given_condition(dataset[places[numbers % n]].condition, card, len(numbers)).to(device)
            samples = sampler.reference.sample(sampler.networks, size, noise, labels, condition)
            made.append(to_bytes(samples.cpu(), card.data_range))
            said(f"{card.name} generates: {min(start + size, n)} of {n}")
    return torch.cat(made)[:n]


@contextlib.contextmanager
def _evaluating(generator: nn.Module, running: bool) -> Iterator[None]:
    """Within, and if asked for, every part of the generator is in evaluation mode."""
    modes = {module: module.training for module in generator.modules()}
    try:
        if running:
            generator.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
