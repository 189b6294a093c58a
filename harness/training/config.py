"""The resolved configuration of a run: everything that was decided, and nothing that is looked up later."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.data.loader import PREFETCH
from harness.data.registry import AUTO

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
_MOST = {"threads": 1024, "workers": 256, "prefetch": 1024, "sample_count": 100_000}


@dataclass(frozen=True)
class RunConfig:
    """What `train` is asked to do.

    Exactly one of `steps` and `epochs` is given. A cadence of None is the document's, 0 is never; the last step is
    always sampled and checkpointed. `keep_checkpoints` 0 writes none at all. `threads` None is one for a small
    step on the CPU, else as many as there are processors for; a run's own file has the number.
    `trace` writes the digest of the whole state after every step. `workers` None means 0 for data in memory and 2
    otherwise; `prefetch` is what each reads ahead. `pack` is auto, never, or a pack's file. `shuffle_window` is how
    many samples are shuffled at a time, 0 all of them; None decides by the data's size. `pin_memory` plays a part on a
    GPU.

    Raises:
        ValueError: a value out of its range, named.
    """

    reference: str
    seed: int
    batch_size: int
    device: str = "cpu"
    steps: int | None = None
    epochs: int | None = None
    reference_modules: tuple[str, ...] = ()
    data_root: str | None = None
    deterministic: bool = True
    threads: int | None = None
    workers: int | None = None
    prefetch: int = PREFETCH
    persistent_workers: bool = True
    pin_memory: bool = True
    pack: str = AUTO
    skip_damaged: bool = False
    shuffle_window: int | None = None
    log_every: int | None = None
    sample_every: int | None = None
    checkpoint_every: int | None = None
    keep_checkpoints: int = 3
    sample_count: int = 64
    tensorboard: bool = True
    pictures: bool = True
    trace: bool = False

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
            if value > _MOST.get(name, 2**62):
                raise ValueError(f"{name} must be {_MOST.get(name, 2**62)} or less, not {value}")
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
