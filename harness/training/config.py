"""What a run is asked for: the settings, the configuration that `run.json` keeps, and the command's options."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.records.metrics import DETERMINISTIC
from harness.records.options import AUTO, PREFETCH, Device, Modules, NumericsOption, is_deterministic

_OPTIONAL = {
    "steps",
    "epochs",
    "threads",
    "workers",
    "log_every",
    "sample_every",
    "checkpoint_every",
    "shuffle_window",
}
CHECKPOINT_MINUTES = 10.0  # of what a kill may cost, where nobody watches
_MAXIMUM = {"threads": 1024, "workers": 256, "prefetch": 1024, "sample_count": 100_000}


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run may be asked for beside its reference, seed and batch: the command line and `RunConfig` share it.

    Neither `steps` nor `epochs` means the document's length; a cadence of None is the document's, 0 is never.
    """

    steps: Annotated[int | None, typer.Option(help="Number of steps.")] = None
    epochs: Annotated[int | None, typer.Option(help="Number of epochs; default is the document's.")] = None
    device: Device = "auto"
    data_root: Annotated[
        str | None,
        typer.Option(help="Folder of data sets (MNIST/, celeba/, …); default is $GAN_HARNESS_DATA, else stand-ins."),
    ] = None
    workers: Annotated[int | None, typer.Option(help="Loader workers; default 0, or 2 for data on disk.")] = None
    prefetch: Annotated[int, typer.Option(help="Batches that each worker reads ahead.")] = PREFETCH
    persistent_workers: Annotated[bool, typer.Option(help="Keep workers from epoch to epoch.")] = True
    pin_memory: Annotated[bool, typer.Option(help="On a GPU: page-locked batches.")] = True
    pack: Annotated[
        str, typer.Option(help="auto takes the pack beside the pictures if it is theirs; never; or a file.")
    ] = AUTO
    shuffle_window: Annotated[
        int | None,
        typer.Option(help="Shuffle so many samples at a time, 0 all; default all that fit half of the memory."),
    ] = None
    skip_damaged: Annotated[
        bool,
        typer.Option("--skip-damaged/--refuse-damaged", help="Leave out pictures that can't be read, and list them."),
    ] = False
    threads: Annotated[int | None, typer.Option(help="CPU threads; default one where steps are small.")] = None
    log_every: Annotated[int | None, typer.Option(help="Steps between log lines; default is the document's.")] = None
    sample_every: Annotated[int | None, typer.Option(help="Steps between grids, 0 for none.")] = None
    sample_count: Annotated[int, typer.Option(help="About how many samples a grid shows.")] = 64
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints; default an epoch.")] = None
    checkpoint_minutes: Annotated[
        float | None, typer.Option(help="Minutes between checkpoints, beside those; default none by the clock.")
    ] = None
    keep_checkpoints: Annotated[int, typer.Option(help="How many checkpoints to keep; 0 writes none.")] = 3
    tensorboard: Annotated[bool, typer.Option(help="Write TensorBoard events.")] = True
    pictures: Annotated[bool, typer.Option(help="Loss plot and animation at the end.")] = True
    trace: Annotated[bool, typer.Option("--trace", help="Write the state's digest after every step.")] = False
    reference_modules: Modules = ()


@dataclass(frozen=True)
class RunConfig(RunSettings):
    """What `train` is asked to do, as `run.json` keeps it: exactly one of `steps` and `epochs` is given.

    Raises:
        ValueError: a value out of its range, named.
    """

    reference: str
    seed: int
    batch_size: int
    deterministic: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either a number of steps or a number of epochs")
        for name, least in (
            ("seed", 0),
            ("batch_size", 1),
            ("steps", 1),
            ("epochs", 1),
            ("threads", 1),
            ("workers", 0),
            ("prefetch", 1),
            ("shuffle_window", 0),
            ("log_every", 0),
            ("sample_every", 0),
            ("checkpoint_every", 0),
            ("keep_checkpoints", 0),
            ("sample_count", 1),
        ):
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if type(value) is not int:
                raise ValueError(f"{name} must be a whole number, not {value!r}")
            if value < least:
                raise ValueError(f"{name} must be {least} or more, not {value}")
            if value > _MAXIMUM.get(name, 2**62):
                raise ValueError(f"{name} must be {_MAXIMUM.get(name, 2**62)} or less, not {value}")
        minutes = self.checkpoint_minutes
        if minutes is not None and (type(minutes) not in (int, float) or not 0 < minutes < math.inf):
            raise ValueError(f"checkpoint_minutes must be a number more than 0, not {minutes!r}")
        for name in ("reference", "device", "pack"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, not {getattr(self, name)!r}")
        for name in (
            "deterministic",
            "tensorboard",
            "pictures",
            "trace",
            "persistent_workers",
            "pin_memory",
            "skip_damaged",
        ):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if not all(isinstance(module, str) for module in self.reference_modules):
            raise ValueError(f"reference_modules must be names, not {self.reference_modules!r}")

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        return dataclasses.asdict(self) | {"reference_modules": list(self.reference_modules)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """The configuration that `to_json` wrote.

        Raises:
            ValueError: a key that no configuration has.
        """
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"unknown keys in a run's configuration: {', '.join(sorted(unknown))}")
        return cls(**(dict(values) | {"reference_modules": tuple(values.get("reference_modules", ()))}))


@dataclass(frozen=True)
class TrainOptions(RunSettings):
    """The options of `gan-harness train`; `given` are the names of those that the command line named.

    Raises:
        ValueError: options that exclude each other.
    """

    name: Annotated[str, typer.Argument(help="A reference, e.g. mlp-gan-mnist or idl-wgan-gp-mnist@corrected.")]
    seed: Annotated[int | None, typer.Option(help="Seed of the run; default is the document's, else 0.")] = None
    batch_size: Annotated[int | None, typer.Option(help="Default is the document's.")] = None
    numerics: NumericsOption = DETERMINISTIC
    out: Annotated[Path | None, typer.Option(help="Run folder; default runs/NAME-seedS.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False
    auto_resume: Annotated[
        bool, typer.Option("--auto-resume", help="Go on with the run in the folder, or start where there is none.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in the folder first.")] = False
    watch: Annotated[
        bool, typer.Option(help="Look out for collapse and divergence, in trainings of 1,000 steps or more.")
    ] = True
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if (self.resume or self.auto_resume) and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other")
        if self.steps is not None and self.epochs is not None:
            raise ValueError("--steps and --epochs exclude each other")
        is_deterministic(self.numerics)

    def settings(self) -> dict[str, Any]:
        """What the command line named, as a run's configuration calls it."""
        shared = {field.name for field in dataclasses.fields(RunConfig)} & self.given
        found = {name: getattr(self, name) for name in shared}
        if self.steps is not None or self.epochs is not None:
            found |= {"steps": self.steps, "epochs": self.epochs}
        if "numerics" in self.given:
            found["deterministic"] = is_deterministic(self.numerics)
        return found
