"""What a card says about a reference: the facts of its document, typed, and nothing that runs.

Every figure on a card is the document's own. Figures that this project measured live in records, never here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Condition:
    """The closed interval in which a measured value counts as what the document claims."""

    minimum: float = -math.inf
    maximum: float = math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.minimum) or math.isnan(self.maximum) or self.minimum > self.maximum:
            raise ValueError(f"a condition needs minimum <= maximum, not {self.minimum} and {self.maximum}")

    def holds(self, value: float) -> bool:
        """True when `value` lies inside; NaN lies nowhere."""
        return self.minimum <= value <= self.maximum

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"= {self.minimum:g}"
        if self.minimum == -math.inf:
            return f"≤ {self.maximum:g}"
        if self.maximum == math.inf:
            return f"≥ {self.minimum:g}"
        return f"{self.minimum:g} to {self.maximum:g}"


def at_most(value: float) -> Condition:
    """The condition x ≤ value."""
    return Condition(maximum=value)


def at_least(value: float) -> Condition:
    """The condition x ≥ value."""
    return Condition(minimum=value)


def between(minimum: float, maximum: float) -> Condition:
    """The condition minimum ≤ x ≤ maximum."""
    return Condition(minimum, maximum)


def exactly(value: float) -> Condition:
    """The condition x = value."""
    return Condition(value, value)


@dataclass(frozen=True)
class Claim:
    """One thing that a document says and that a record can confirm or contradict.

    Attributes:
        metric: what decides it, by its name in the harness' vocabulary; "" for nothing that could be measured.
        epochs: the training length that the claim speaks of: a value after less training doesn't decide it.
        n_at_least: samples from which on a value decides it.
        batch_size: the one that it speaks of.
        extractor: what must look at the samples.
        where: what the record's protocol must say.
        needs_data: it speaks of the card's real data set: a stand-in doesn't decide it.
        needs_gpu: it speaks of a GPU.
        obstacle: why nobody can decide it.
        versus: another reference: then the condition is on the value over the median of that one's, both measured in
            the same way.

    None and "" stand for anything.
    """

    identifier: str
    place: str
    statement: str
    documented: str
    metric: str
    condition: Condition
    epochs: float | None = None
    needs_data: bool = False
    needs_gpu: bool = False
    obstacle: str = ""
    versus: str = ""
    n_at_least: int | None = None
    batch_size: int | None = None
    extractor: str = ""
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.metric and not self.obstacle:
            raise ValueError(f"the claim {self.identifier!r} names no metric and no obstacle to measuring it")

    def __str__(self) -> str:
        """What decides it: `fid of 10,000 samples or more, by mnistnet, ≤ 1`."""
        parts = [self.metric or "nothing measured"]
        parts += [f"of {self.n_at_least:,} samples or more"] if self.n_at_least else []
        parts += [f"at batch {self.batch_size}"] if self.batch_size else []
        parts += [f"by {self.extractor}"] if self.extractor else []
        parts += [f"{name} {value}" for name, value in self.where.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class Deviation:
    """A numbered place where the reference and its document's print part ways, and what the reference does."""

    number: int
    kind: Literal["repair", "text against code", "formula against code", "harness"]
    statement: str


@dataclass(frozen=True)
class LogLine:
    """One line of the document's printed training log; epoch (from 0) and step are the numbers that it prints."""

    epoch: int
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class MemoryFigure:
    """GPU memory (MB, as the driver showed it) that the document reports for one batch size."""

    batch_size: int
    megabytes: int


@dataclass(frozen=True)
class Duration:
    """Minutes that the document reports for some epochs on some hardware; None where it doesn't say how many."""

    hardware: str
    epochs: int | None
    minutes: float


@dataclass(frozen=True)
class InitialWeights:
    """How the document's code draws the initial values of the tensors whose names match `pattern` (fnmatch).

    `first`, `second`: mean and standard deviation of a normal distribution; lower and upper end of a uniform one;
    a constant has only `first`.
    """

    network: str
    pattern: str
    distribution: Literal["normal", "uniform", "constant"]
    first: float
    second: float = 0.0


@dataclass(frozen=True)
class NetworkCard:
    """Shapes of one network, without the batch dimension, and its size.

    `layers` maps every leaf module's name to its output shape; `inputs` are the shapes of the forward arguments. With
    `classes`, one more argument follows: labels (N,) in [0, classes). `checks_inputs` says that the network looks at
    its inputs' shape itself: it changes while the network grows. A card that says nothing of the layers (empty) or of
    the number of trainable values (None) leaves them unchecked.
    """

    inputs: tuple[Shape, ...]
    output: Shape
    layers: Mapping[str, Shape] = field(default_factory=dict)
    parameters: int | None = None
    printed: str | None = None
    classes: int = 0
    checks_inputs: bool = False


@dataclass(frozen=True)
class LogSchedule:
    """The steps of an epoch, counted from 1, at which the document prints: `first`, `first + every`, …

    `printed_from` is the number that the document prints for an epoch's first step, 0 or 1. `averaged` says that it
    prints means over the steps since its line before.
    """

    every: int
    first: int
    printed_from: int = 1
    averaged: bool = False

    def includes(self, step_in_epoch: int) -> bool:
        """Whether the document prints at this step (counted from 1)."""
        return step_in_epoch >= self.first and (step_in_epoch - self.first) % self.every == 0

    def step_in_epoch(self, line: LogLine) -> int:
        """The step (counted from 1) after which the document printed this line."""
        return line.step + 1 - self.printed_from


@dataclass(frozen=True)
class OptimizerCard:
    """An optimiser as the document sets it, with PyTorch's defaults written out where it names no value.

    `kind` is its class's name, as in torch.optim. What plays no part in it (SGD has no `betas`), and what is None,
    isn't looked at.
    """

    kind: str
    lr: float
    betas: tuple[float, float] | None = None
    weight_decay: float = 0.0
    eps: float = 1e-8
    momentum: float | None = None
    alpha: float | None = None
    nesterov: bool | None = None


@dataclass(frozen=True)
class Modes:
    """Round Gaussians of equal weight in the plane: their centres, and the standard deviation of each per axis."""

    centres: tuple[tuple[float, float], ...]
    deviation: float

    def __post_init__(self) -> None:
        if not self.centres or any(len(centre) != 2 for centre in self.centres):
            raise ValueError(f"modes need centres (x, y), one at least, not {self.centres}")
        if not self.deviation > 0:
            raise ValueError(f"the deviation of modes must be positive, not {self.deviation}")


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything a document states about one system. Name, shape, batch and epochs suffice for a GAN of one's own.

    `data_shape` and `data_range` say what a batch holds and what `sample` returns. `latent_shape` is that of one latent
    vector, None for a system without; `classes` is the number of labels that it is conditioned on, 0 for none;
    `condition` names the picture that it is conditioned on (erased, outline, …), "" for none. `sample_every` is the
    document's distance between sample grids in steps, None for one at the end of each epoch. `reduced` holds options
    (as in a spec) that make the same system small enough for a laptop to train some steps of it. `dataset` is one that
    the harness knows; `own` for the reference's own `data(root)`. `modes` are those of points in the plane. `optimizer`
    is that of every role, or one for each; None, and whatever else is left out, says nothing and is left unchecked.
    """

    name: str
    data_shape: Shape
    batch_size: int
    epochs: int
    document: str = "own"
    section: str = ""
    title: str = ""
    dataset: str = "own"
    data_range: tuple[float, float] = (-1.0, 1.0)
    latent_shape: Shape | None = None
    drop_last: bool = False
    seed: int = 0
    optimizer: OptimizerCard | Mapping[str, OptimizerCard] | None = None
    log: LogSchedule = LogSchedule(every=100, first=100)
    networks: Mapping[str, NetworkCard] = field(default_factory=dict)
    source: str = ""
    sample_every: int | None = None
    initial_weights: tuple[InitialWeights, ...] = ()
    log_lines: tuple[LogLine, ...] = ()
    memory: tuple[MemoryFigure, ...] = ()
    durations: tuple[Duration, ...] = ()
    claims: tuple[Claim, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    classes: int = 0
    condition: str = ""
    reduced: str = ""
    modes: Modes | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, float] = field(default_factory=dict)

    def optimizer_of(self, role: str) -> OptimizerCard | None:
        """What the document trains a role with; None where it doesn't say."""
        if self.optimizer is None or isinstance(self.optimizer, OptimizerCard):
            return self.optimizer
        return self.optimizer.get(role)

    def __post_init__(self) -> None:
        low, high = self.data_range
        for wrong, what in (
            (not self.data_shape or min(self.data_shape) < 1, f"data_shape must hold sizes, not {self.data_shape}"),
            (self.batch_size < 1, f"batch_size must be at least 1, not {self.batch_size}"),
            (self.epochs < 1, f"epochs must be at least 1, not {self.epochs}"),
            (not low < high, f"data_range must be (low, high), not {self.data_range}"),
        ):
            if wrong:
                raise ValueError(f"the card of {self.name!r}: {what}")
        numbers = [deviation.number for deviation in self.deviations]
        if numbers != list(range(1, len(numbers) + 1)):
            raise ValueError(f"the deviations of {self.name} must be numbered 1, 2, 3, … in order, not {numbers}")
        identifiers = [claim.identifier for claim in self.claims]
        if len(set(identifiers)) != len(identifiers):
            raise ValueError(f"two claims of {self.name} share an identifier: {identifiers}")
