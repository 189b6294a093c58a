"""How the harness's own extractors are trained: one deterministic recipe, on one thread, from fixed seeds.

The weights that come with the package were made by it, so that a figure doesn't depend on the processor on which an
extractor was trained. Other data in MNIST's layout give an extractor of their own, kept in the cache.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, binary_cross_entropy_with_logits, cross_entropy, grid_sample

from harness.evaluation.extractors.networks import SmallExtractor, make_networks, prepared
from harness.records.progress import report_progress
from harness.training.device import full_float32, numerics
from harness.training.streams import Streams

_log = logging.getLogger(__name__)

RECIPE_VERSION = 1
_BATCH = 128


@dataclass(frozen=True)
class LabelledImages:
    """uint8 images (n, C, H, W) and what they show: class numbers (n,), or attributes (n, outputs) of 0 and 1."""

    images: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Trained:
    """The weights by name, and the share of held-out images (for attributes: of their values) read correctly.

    `accuracies` is that of each attribute; () for classes.
    """

    tensors: dict[str, Tensor]
    accuracy: float
    accuracies: tuple[float, ...] = ()


def train_extractor(
    kind: type[SmallExtractor],
    data: LabelledImages,
    held_out: LabelledImages,
    epochs: int,
    what: str = "training an extractor (epochs)",
) -> Trained:
    """Train `kind` on `data`; the log has how far it is, as `what`."""
    cpu = torch.device("cpu")
    streams = Streams(RECIPE_VERSION, cpu)
    with numerics(cpu, deterministic=True, threads=1), full_float32(), streams.implicit():
        with streams.initialising():
            networks = make_networks(kind)
        per_epoch = -(-len(data.images) // _BATCH)
        optimizer = torch.optim.AdamW(networks.parameters(), lr=1e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * per_epoch)
        loss_of = binary_cross_entropy_with_logits if data.targets.dim() == 2 else _smoothed
        model = nn.Sequential(networks["trunk"], networks["head"]).train()
        for epoch in range(epochs):
            order = torch.randperm(len(data.images), generator=streams.order)
            for chosen in torch.split(order, _BATCH):
                images = prepared(data.images[chosen], kind.CHANNELS, kind.SIDE)
                loss = loss_of(model(_moved(images, streams.noise)), data.targets[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            report_progress(_log, what, epoch + 1, epochs)
        right = read_correctly(model.eval(), kind, held_out)
    tensors = {name: tensor.contiguous() for name, tensor in networks.state_dict().items()}
    each = tuple(right.mean(0).tolist()) if right.dim() == 2 else ()
    return Trained(tensors, float(right.mean()), each)


def _smoothed(outputs: Tensor, targets: Tensor) -> Tensor:
    return cross_entropy(outputs, targets, label_smoothing=0.05)


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned by up to 12°, scaled by up to 12 % and shifted by up to 8 %."""

    def drawn() -> Tensor:
        return torch.rand(len(images), generator=generator) * 2 - 1

    angle, scale = drawn() * radians(12), 1 + 0.12 * drawn()
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = [torch.stack([cosine, -sine, 0.16 * drawn()], 1), torch.stack([sine, cosine, 0.16 * drawn()], 1)]
    grid = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False, padding_mode="border")


@torch.no_grad()
def read_correctly(model: nn.Module, kind: type[SmallExtractor], data: LabelledImages) -> Tensor:
    """1 where it reads an image as it should, else 0: (n,), or (n, outputs) for attributes; float64."""
    parts = [model(prepared(images, kind.CHANNELS, kind.SIDE)) for images in torch.split(data.images, 1000)]
    outputs = torch.cat(parts)
    right = (outputs > 0) == (data.targets > 0.5) if data.targets.dim() == 2 else outputs.argmax(1) == data.targets
    return right.double()
