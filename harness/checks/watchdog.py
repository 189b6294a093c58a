"""A watchdog while training: collapse, divergence and a generator without a gradient, noticed as they come.

Now and then samples are drawn at fixed latents and held against some of the data, as values: points as they are,
pictures brought to 8×8 pixels. Density tells whether they lie where the data lie, coverage how much of the data they
reach, the spread how far they scatter; losses and gradients are read beside. A look leaves no trace in the training,
whose bits are the same without.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from harness.checks.loss_curves import loss_names
from harness.data.dataset import linspace_indices
from harness.evaluation.neighbourhoods import density_coverage
from harness.records.metrics import BEST, LOOK_COVERAGE, NOTICED, STEP, STEPS, TRAINING, WHAT, MetricValue
from harness.training.checkpoint import Checkpoint, write_checkpoint
from harness.training.loop import Loop
from harness.training.returned import draw_samples
from harness.training.run_folder import read_rows
from harness.training.streams import sampling

_log = logging.getLogger(__name__)

LOOKS = 50  # in a training …
APART = 200  # steps at least between two
LEAST = 1000  # steps of a training that is looked at
SAMPLES, _FEWEST = 256, 64
_MAX_VALUES = 1 << 24  # that are drawn at once: 21 pictures of 512×512 pixels, too few to say what they cover
_SMALL_BATCH = 16  # is drawn at once, whatever is trained at once
_SIDE = 8  # pixels, of a picture that is compared

IN_A_ROW = 3  # looks that say the same: one alone is noise
SETTLING = 0.1  # of a training: networks begin with samples that are all alike
NEAR, FEW, LOST, ALIKE = 0.5, 0.5, 0.5, 0.01
EXPLODED, VANISHED = 1000.0, 1e-6

COLLAPSE, DIVERGENCE, NO_GRADIENT = "collapse", "divergence", "no gradient"


@dataclass(frozen=True)
class TrainingLook:
    """What was seen after a step; a value that isn't finite is None.

    Attributes:
        density: how many real neighbourhoods hold a sample, on average, over five: about 1 for samples of the data.
        coverage: the share of real samples that have a generated one in their neighbourhood, 0.97 for those. None,
            with the density, where too few samples are drawn to say.
        spread: the total variance of the samples over that of real ones.
        losses: the mean of every loss over the steps since the look before.
        gradients: the norm of the last gradient of each role that has one.
    """

    step: int
    density: float | None
    coverage: float | None
    spread: float | None
    losses: Mapping[str, float | None]
    gradients: Mapping[str, float | None]

    @property
    def score(self) -> float:
        """Coverage times density, of which no more than 1 counts; −1 where they aren't known."""
        return -1.0 if self.coverage is None or self.density is None else self.coverage * min(1.0, self.density)


@dataclass(frozen=True)
class Episode:
    """Something that was wrong from one look to another, noticed after a step, in words; `over` is None to the end."""

    kind: str
    begun: int
    noticed: int
    over: int | None
    said: str

    def __str__(self) -> str:
        end = "to the end" if self.over is None else f"to {self.over:,}"
        return f"{self.kind} from step {self.begun:,} {end}"


class Watchdog:
    """Looks at a training now and then; writes `looks.jsonl` and the log, and keeps the networks of the best look.

    The best look is the one of most coverage times density, of which no more than 1 counts: a cloud of noise reaches
    some of the data too.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop, self.folder = loop, loop.folder
        self.looks = read_looks(self.folder.looks)
        self._read = 0  # bytes of the log
        self.every = looks_every(loop.total)
        if self.every:
            most = min(SAMPLES, _MAX_VALUES // prod(loop.card.data_shape))
            self._given = loop.dataset[linspace_indices(len(loop.dataset), most)]
            self._real = comparable(self._given.data)
            if len(self._real) < 2 or not float(self._real.var(0).sum()):
                self.every = 0  # one picture, or nothing but the same: there is nothing to cover

    def __call__(self, step: int) -> None:
        """Look, where this step is due."""
        if not self.every or (step % self.every and step != self.loop.total):
            return
        look = self._look(step)
        self.looks.append(look)
        if best_look(self.looks) is look:
            state = self.loop.state
            networks = {k: v for k, v in state.tensors().items() if k.startswith(("network/", "buffer/"))}
            kept = Checkpoint(look.step, self.loop.identity(), state.scalars(), networks)
            write_checkpoint(self.folder.best, kept, keep=1)
        with self.folder.looks.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(look)) + "\n")
        self._tell()

    def _tell(self) -> None:
        before = {(one.kind, one.begun): one for one in episodes(self.looks[:-1], self.loop.total)}
        for one in episodes(self.looks, self.loop.total):
            earlier = before.get((one.kind, one.begun))
            if earlier is None:
                _log.warning(f"{one.kind} from step {one.begun:,} on: {one.said}")
            elif one.over is not None and earlier.over is None:
                _log.info(f"{one.kind} is over after step {one.over:,}")

    def _look(self, step: int) -> TrainingLook:
        loop = self.loop
        loop.journal.flush()
        losses = self._losses()
        found = {role: _gradient(network) for role, network in loop.networks.items()}
        gradients = {role: _finite(norm) for role, norm in found.items() if norm is not None}
        made = comparable(self._drawn())
        real = self._real
        if made.dim() == 4 and made.shape != real.shape:  # a growing network begins with smaller ones
            real = adaptive_avg_pool2d(real, (made.shape[2], made.shape[3]))
        made, real = made.flatten(1), real.flatten(1)
        spread = _finite(float(made.var(0).sum() / real.var(0).sum()))
        density = coverage = None
        if len(real) >= _FEWEST and spread is not None:
            density, coverage = density_coverage(made, real)
        return TrainingLook(step, density, coverage, spread, losses, gradients)

    def _drawn(self) -> Tensor:
        """As many as there are real ones, the same at every look: in batches no larger than those that are trained."""
        loop, given, made = self.loop, self._given, []
        classes = loop.card.classes
        labels = torch.arange(len(given.data)) % classes if classes else None
        noise, size = loop.streams.fixed_noise(), max(_SMALL_BATCH, loop.config.batch_size)
        with sampling(loop.networks, loop.device, loop.config.seed):
            for start in range(0, len(given.data), size):
                part = slice(start, min(start + size, len(given.data)))
                some = [t if t is None else t[part].to(loop.device) for t in (labels, given.condition)]
                made.append(draw_samples(loop.reference, loop.networks, part.stop - start, noise, *some))
        return torch.cat(made)

    def _losses(self) -> dict[str, float | None]:
        """The means of the losses whose rows have come since the last look."""
        last = self.looks[-1].step if self.looks else 0
        with self.folder.metrics.open("rb") as stream:
            stream.seek(self._read)
            rows = [row for row in map(json.loads, stream.readlines()) if row["step"] > last]
            self._read = stream.tell()
        return {name: _finite(fmean(row[name] for row in rows)) for name in loss_names(rows)}


def looks_every(total: int) -> int:
    """How many steps of a training lie between two looks at it; 0 for one that is too short to be looked at."""
    return 0 if total < LEAST else max(APART, total // LOOKS)


def read_looks(file: Path) -> list[TrainingLook]:
    """What `looks.jsonl` holds.

    Raises:
        ValueError: a line is damaged.
    """
    return [TrainingLook(**row) for row in read_rows(file)]


def best_look(looks: Sequence[TrainingLook]) -> TrainingLook | None:
    """The look of the largest `score`, the last of several; None where none has one."""
    return max((look for look in looks if look.score >= 0), key=lambda look: (look.score, look.step), default=None)


def episodes(looks: Sequence[TrainingLook], total: int) -> list[Episode]:
    """What was wrong in a training of `total` steps: what `IN_A_ROW` looks in a row say, until one doesn't.

    Of the first tenth of a training nothing is said.
    """
    settled = [look.step > SETTLING * total for look in looks]
    found = []
    for kind, wrong in _RULES.items():
        said = [wrong(looks, index) if settled[index] else "" for index in range(len(looks))]
        begun = None
        for index, words in enumerate([*said, ""]):
            if words and begun is None:
                begun = index
            elif not words and begun is not None:
                if index - begun >= IN_A_ROW:
                    over = looks[index].step if index < len(looks) else None
                    noticed = begun + IN_A_ROW - 1
                    found.append(Episode(kind, looks[begun].step, looks[noticed].step, over, said[noticed]))
                begun = None
    return sorted(found, key=lambda one: one.noticed)


def watched_values(looks: Sequence[TrainingLook], total: int) -> list[MetricValue]:
    """What a report says of the looks at a training of `total` steps; nothing where there was none."""
    if not looks:
        return []
    noticed, best, last = episodes(looks, total), best_look(looks), looks[-1]
    told = {WHAT: "; ".join(f"{one}: {one.said}" for one in noticed), STEPS: str(last.step)}
    found = [MetricValue(NOTICED, len(noticed), told)]
    if last.coverage is not None:
        found.append(MetricValue(LOOK_COVERAGE, last.coverage))
    if best is not None and best.coverage is not None:
        found.append(MetricValue(LOOK_COVERAGE, best.coverage, {TRAINING: BEST, STEP: str(best.step)}))
    return found


def looks_course(looks: Sequence[TrainingLook]) -> NDArray[Any]:
    """What the looks saw over time: (looks,) of the fields `step`, `coverage`, `density, up to 1` and `spread`."""
    fields = ("coverage", "density, up to 1", "spread")
    course = np.zeros(len(looks), [("step", np.int64), *((name, np.float64) for name in fields)])
    for place, look in enumerate(looks):
        near = None if look.density is None else min(1.0, look.density)
        seen = (np.nan if value is None else value for value in (look.coverage, near, look.spread))
        course[place] = (look.step, *seen)
    return course


def comparable(samples: Tensor) -> Tensor:
    """Points (n, values) as they are; pictures (n, C, s, s) of at most 8×8 pixels; in float32 on the CPU."""
    samples = samples.detach().float()
    if samples.dim() == 3:
        samples = samples.unsqueeze(1)
    elif samples.dim() == 2 and samples.shape[1] > 2 and math.isqrt(samples.shape[1]) ** 2 == samples.shape[1]:
        samples = samples.view(len(samples), 1, math.isqrt(samples.shape[1]), -1)
    if samples.dim() == 4 and min(samples.shape[2:]) > _SIDE:
        samples = adaptive_avg_pool2d(samples, _SIDE)
    return samples.cpu()


def _collapsed(looks: Sequence[TrainingLook], index: int) -> str:
    """Samples that are all alike; that lie among the data and reach few of them; that reach half of what they did."""
    look = looks[index]
    if look.spread is not None and look.spread < ALIKE:
        return f"the samples are all alike, with {look.spread:.2g} of the data's variance"
    if look.coverage is None or look.density is None:
        return ""
    if look.density >= NEAR and look.coverage < FEW:
        return f"the samples lie among the data (density {look.density:.2f}) and cover {look.coverage:.0%} of them"
    best = best_look(looks[:index])
    if best is not None and (most := best.coverage or 0.0) >= FEW and look.coverage < LOST * most:
        return f"the samples cover {look.coverage:.0%} of the data, and {most:.0%} after step {best.step:,}"
    return ""


def _diverged(looks: Sequence[TrainingLook], index: int) -> str:
    """A loss, or the samples' variance, that isn't finite or has grown a thousandfold."""
    look = looks[index]
    if look.spread is None or look.spread > EXPLODED:
        return f"the samples have {look.spread or math.inf:.2g} times the data's variance"
    for name, value in look.losses.items():
        earlier = [before for one in looks[:index] if (before := one.losses.get(name)) is not None]
        least = min(earlier, key=abs, default=0.0)
        if value is None or (earlier and abs(value) > EXPLODED * max(1.0, abs(least))):
            return f"{name} is {math.inf if value is None else value:.3g}, and was {least:.3g} once"
    return ""


def _without_gradient(looks: Sequence[TrainingLook], index: int) -> str:
    """A role whose gradient has vanished."""
    for role, value in looks[index].gradients.items():
        earlier = [before for one in looks[:index] if (before := one.gradients.get(role))]
        if value is not None and earlier and value < VANISHED * median(earlier):
            return f"the gradient of the {role} is {value:.2g}, and {median(earlier):.2g} before"
    return ""


_RULES: dict[str, Callable[[Sequence[TrainingLook], int], str]] = {
    COLLAPSE: _collapsed,
    DIVERGENCE: _diverged,
    NO_GRADIENT: _without_gradient,
}


def _gradient(network: nn.Module) -> float | None:
    """The norm of what the last backward pass left; None where nothing is left."""
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return float(torch.nn.utils.get_total_norm(found)) if found else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
