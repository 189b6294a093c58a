"""The engine: it owns clearing, stepping, streams, devices and files; which losses in which order is a reference's."""

from harness.training.config import RunConfig
from harness.training.loop import NonFiniteError, TrainedRun, train

__all__ = ["NonFiniteError", "RunConfig", "TrainedRun", "train"]
