"""Samples as pictures: grids from fixed latents, real beside fake, the losses, and the grids as an animation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from harness.data import Dataset
from harness.data.dataset import linspace_indices
from harness.files.figures import Picture, figure, rendered, save_picture
from harness.training.returned import draw_samples
from harness.training.run_folder import RunFolder, read_rows
from harness.training.streams import Streams, sampling
from reference import Batch, Reference, given_condition

_MAX_FRAMES = 100
_POINTS_PER_IMAGE = 32
_CONDITIONED = 16
_MAX_ROWS = 10
_SMALL = 32


@dataclass(frozen=True)
class FixedSamples:
    """Samples from a run's fixed latents; where they were made from a condition, that and the real pictures too.

    All are (n, …). `columns` is the width of their picture, in samples.
    """

    samples: Tensor
    columns: int
    condition: Tensor | None = None
    real: Tensor | None = None

    def picture(self, value_range: tuple[float, float]) -> Picture:
        """The samples; conditioned ones as triples: condition, sample, real."""
        if self.condition is None or self.real is None:
            return picture_of(self.samples, value_range, self.columns)
        triples = torch.stack([self.condition, self.samples.cpu(), self.real], dim=1)
        return picture_of(triples.flatten(0, 1), value_range, columns=6)


def fixed_samples(
    reference: Reference,
    networks: Mapping[str, nn.Module],
    dataset: Dataset,
    streams: Streams,
    count: int,
    seed: int,
) -> FixedSamples:
    """The same latents, labels and conditions at every call: about `count` samples.

    One conditioned on classes has a class per column and at most ten rows. Points cost nothing and say little: of them
    there are as many as make a picture. Of pictures with a condition there are at most sixteen.
    """
    card = reference.card
    n = count * _POINTS_PER_IMAGE if card.data_shape == (2,) else count
    columns, labels, batch, condition = math.ceil(math.sqrt(n)), None, None, None
    if card.classes:
        n, columns = card.classes * min(card.classes, _MAX_ROWS), card.classes
        labels = torch.arange(n, device=streams.device) % card.classes
    if card.condition:
        batch = spread_over(dataset, min(n, _CONDITIONED))
        n = len(batch.data)
        condition = given_condition(batch.condition, card, n).to(streams.device)
        labels = None if labels is None else labels[:n]
    with sampling(networks, streams.device, seed):
        samples = draw_samples(reference, networks, n, streams.fixed_noise(), labels, condition)
    if batch is None:
        return FixedSamples(samples, columns)
    return FixedSamples(samples, columns, batch.condition, batch.data)


def spread_over(dataset: Dataset, most: int) -> Batch:
    """At most `most` samples, evenly spread over the data: some sets lie sorted."""
    return dataset[linspace_indices(len(dataset), most)]


def picture_of(samples: Tensor, value_range: tuple[float, float], columns: int | None = None) -> Picture:
    """A picture (height, width, 3) of a batch: points as a scatter plot, anything else as a grid of images.

    Pixel values are scaled from the fixed range, never by the batch's own extremes. Tiny images are enlarged.

    Args:
        samples: (n, 2), (n, pixels), (n, H, W) or (n, C, H, W), with C 1 or 3.
        value_range: the values of black and white.
        columns: images in a row; None makes a square.
    """
    samples = samples.detach().float().cpu()
    if samples.shape[1:] == (2,):
        return _scatter(samples, value_range)
    from torchvision.utils import make_grid  # brings TorchDynamo: two seconds

    images = _as_images(samples)
    factor = max(1, _SMALL // images.shape[-1])
    images = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    columns = columns or math.ceil(math.sqrt(len(images)))
    grid = make_grid(images, nrow=columns, padding=2, normalize=True, value_range=value_range)
    picture: Picture = grid.mul(255).round().byte().permute(1, 2, 0).numpy()
    return picture


def save_summary(folder: RunFolder, fixed: FixedSamples, real: Tensor, value_range: tuple[float, float]) -> None:
    """The pictures at the end of a run: `losses.png`, `real_beside_fake.png` and `progress.gif`."""
    rows = list(read_rows(folder.metrics))
    if rows:
        save_picture(folder.path / "losses.png", _plot_losses(rows))
    save_picture(folder.path / "real_beside_fake.png", _beside(real, fixed.samples, value_range))
    save_animation(folder.path / "progress.gif", sorted(folder.samples.glob("step-*.png")))


def save_animation(path: Path, files: Sequence[Path]) -> None:
    """The pictures in `files` as a GIF, evenly thinned to at most 100 frames, the last one always there."""
    if not files:
        return
    chosen = sorted({round(i) for i in np.linspace(0, len(files) - 1, min(len(files), _MAX_FRAMES))})
    frames = [Image.open(files[i]).convert("RGB") for i in chosen]
    # A growing network's pictures grow too; an animation has one size.
    frames = [frame.resize(frames[-1].size, Image.Resampling.NEAREST) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    durations = [200] * (len(frames) - 1) + [1500]
    frames[0].save(temporary, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    temporary.replace(path)


def _as_images(samples: Tensor) -> Tensor:
    if samples.dim() == 4:
        return samples
    side = math.isqrt(samples[0].numel())
    if samples.dim() == 2 and side * side != samples.shape[1]:
        raise ValueError(f"samples of shape {tuple(samples.shape[1:])} are neither points nor images")
    return samples.unsqueeze(1) if samples.dim() == 3 else samples.view(-1, 1, side, side)


def _scatter(points: Tensor, value_range: tuple[float, float]) -> Picture:
    drawn = figure(4, 4)
    axes = drawn.add_subplot()
    axes.plot(*points.T.numpy(), ".", markersize=2, alpha=0.5)
    axes.set(xlim=value_range, ylim=value_range, aspect="equal")
    return rendered(drawn)


def _beside(real: Tensor, fake: Tensor, value_range: tuple[float, float]) -> Picture:
    drawn = figure(10, 5.4)
    for column, (title, samples) in enumerate((("real", real), ("generated", fake)), 1):
        axes = drawn.add_subplot(1, 2, column)
        axes.imshow(picture_of(samples, value_range))
        axes.set_title(title)
        axes.set_axis_off()
    return rendered(drawn)


def _plot_losses(rows: Sequence[dict[str, Any]]) -> Picture:
    drawn = figure(10, 5)
    axes = drawn.add_subplot()
    steps = np.array([row["step"] for row in rows])
    window = max(1, len(rows) // 200)
    for name in (name for name in rows[0] if name.startswith("loss")):
        values = torch.tensor([row[name] for row in rows])
        (line,) = axes.plot(steps, values, linewidth=0.5, alpha=0.35)
        mean = values.unfold(0, window, 1).mean(1)
        axes.plot(steps[window - 1 :], mean, color=line.get_color(), label=name)
    axes.set(xlabel="step", ylabel="loss", title=f"losses, and their means over {window} steps")
    axes.legend()
    return rendered(drawn)
