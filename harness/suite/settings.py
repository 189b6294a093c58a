"""What `pytest suites/` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.records.profiles import Profile

if TYPE_CHECKING:
    from harness.loading.record import Storage


@dataclass(frozen=True)
class Settings:
    """The options, checked."""

    profile: Profile
    device: str
    data_root: Path | None
    report_dir: Path
    references: str | None
    seeds: int | None
    modules: tuple[str, ...]
    first_seed: int | None = None
    inception_weights: Path | None = None
    baseline: Path | None = None
    storages: tuple[Storage, ...] = ()
    step_ms: float | None = None
