"""What `pytest suites/` is asked for: the options, and the settings that they make."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.storage import DISK_PROFILES
from harness.loading.record import OWN_STORAGE, Storage, parse_storage
from harness.records.profiles import Profile, get_profile
from harness.suite.deadline import parse_seconds
from harness.suite.shards import Shard, parse_shard

HERE, RAY = ENGINES = ("here", "ray")
RETRIES = 3


@dataclass(frozen=True)
class Settings:
    """The options, checked.

    Raises:
        ValueError: a value out of its range.
    """

    profile: Profile
    device: str
    data_root: Path | None
    report_dir: Path
    references: str | None
    seeds: int | None
    modules: tuple[str, ...]
    first_seed: int | None = None
    extractor_weights: Path | None = None
    baseline: Path | None = None
    storages: tuple[Storage, ...] = ()
    step_ms: float | None = None
    runs: Path | None = None
    jobs: int | None = None
    resume: bool = False
    time_limit: float | None = None
    shard: Shard | None = None
    engine: str = HERE
    address: str | None = None
    gpus_per_run: float | None = None
    retries: int | None = None
    joins: Mapping[str, Any] | None = None
    steps_of: Path | None = None

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise ValueError(f"--seeds must be 1 or more, not {self.seeds}")
        if self.first_seed is not None and self.first_seed < 0:
            raise ValueError(f"--first-seed must be 0 or more, not {self.first_seed}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"--jobs must be 1 or more, not {self.jobs}")
        if self.jobs is not None and self.jobs > 1 and not hasattr(os, "fork"):
            raise ValueError(f"--jobs {self.jobs}: processes can't be forked on {sys.platform}")
        self._check_engine()
        if self.step_ms is not None and not (0 < self.step_ms < math.inf):
            raise ValueError(f"--step-ms must be more than 0, not {self.step_ms:g}")
        names = [storage.name for storage in self.storages]
        if len(set(names)) < len(names):
            raise ValueError(f"two storages have one name: {', '.join(names)}")

    def _check_engine(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"--engine must be one of {', '.join(ENGINES)}, not {self.engine!r}")
        several = self.engine == RAY or (self.jobs or 1) > 1
        if self.address is not None and self.engine != RAY:
            raise ValueError(f"--address has no effect without --engine {RAY}")
        only = {"gpus-per-run": self.gpus_per_run, "retries": self.retries}
        for name in (name for name, value in only.items() if value is not None and not several):
            raise ValueError(f"--{name} has no effect without --jobs N or --engine {RAY}")
        if self.retries is not None and self.retries < 0:
            raise ValueError(f"--retries must be 0 or more, not {self.retries}")
        if several and ":" in self.device:
            raise ValueError(
                f"--device {self.device} with {f'--engine {RAY}' if self.engine == RAY else f'--jobs {self.jobs}'}: "
                "each process is given its card; give --device cuda, and CUDA_VISIBLE_DEVICES for some of them"
            )
        share = self.gpus_per_run
        if share is not None and not (0 < share <= 1 or (share > 1 and share == int(share))):
            raise ValueError(f"--gpus-per-run must be a part of one, or a whole number, not {share:g}")

    def given(self) -> tuple[str, ...]:
        """The options that differ from what they are without being given, as on the command line.

        Without those that say which references, where the report goes, and what it is held against.
        """
        values = {
            "profile": self.profile.name,
            "device": self.device,
            "data-root": self.data_root,
            "seeds": self.seeds,
            "first-seed": self.first_seed,
            "extractor-weights": self.extractor_weights,
            "step-ms": self.step_ms,
        }
        usual = {"profile": "smoke", "device": "auto"}
        said = [f"--{name}={value}" for name, value in values.items() if value not in (None, usual.get(name))]
        return (*said, *(f"--reference-module={module}" for module in self.modules))

    def storage(self, name: str) -> Storage:
        """The disk of this name."""
        return next(storage for storage in self.storages if storage.name == name)


def settings_from(option: Callable[[str], Any], usual_report: Path) -> Settings:
    """The settings of pytest's options; `option` is its `config.getoption`.

    Raises:
        ValueError: a value out of its range, or an unknown profile or storage.
    """
    asked = option("--storage")
    storages = (OWN_STORAGE, *map(parse_storage, DISK_PROFILES)) if asked is None else tuple(map(parse_storage, asked))
    return Settings(
        profile=get_profile(option("--profile")),
        device=option("--device"),
        data_root=option("--data-root"),
        report_dir=option("--report-dir") or usual_report,
        references=option("--references"),
        seeds=option("--seeds"),
        modules=tuple(option("--reference-module")),
        first_seed=option("--first-seed"),
        extractor_weights=option("--extractor-weights"),
        baseline=option("--baseline"),
        storages=storages,
        step_ms=option("--step-ms"),
        runs=option("--runs"),
        jobs=option("--jobs"),
        resume=option("--resume"),
        time_limit=parse_seconds(limit) if (limit := option("--time-limit")) else None,
        shard=parse_shard(part) if (part := option("--shard")) else None,
        engine=option("--engine"),
        address=option("--address"),
        gpus_per_run=option("--gpus-per-run"),
        retries=option("--retries"),
        steps_of=option("--steps-of"),
        joins=json.loads(joined) if (joined := option("--joins")) else None,
    )
