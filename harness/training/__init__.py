"""The engine: it owns clearing, stepping, streams, devices and files; which losses in which order is a reference's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.training.config import RunConfig
    from harness.training.logger import NonFiniteError
    from harness.training.loop import TrainedRun
    from harness.training.run import train

__all__ = ["NonFiniteError", "RunConfig", "TrainedRun", "train"]
_FROM = {"NonFiniteError": "logger", "RunConfig": "config", "TrainedRun": "loop", "train": "run"}


def __getattr__(name: str) -> Any:
    """What the engine offers, when it is first asked for: the command line needs its options alone."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FROM[name]}"), name)
