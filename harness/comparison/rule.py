"""How a verdict is reached: which values take part, how sure one must be, how much doesn't matter."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass

from harness.records.metrics import TRAINING
from harness.records.record import Record

ALPHA, MARGIN = 0.05, 0.1


@dataclass(frozen=True)
class Rule:
    """How a verdict is reached.

    `alpha` is the chance of any false alarm in the whole comparison; `margin` the change, relative to the base's mean,
    that doesn't matter; `metrics` shell patterns of the metrics, or of series of them, to compare, none for the
    headline metrics.

    Raises:
        ValueError: a value out of its range.
    """

    alpha: float = ALPHA
    margin: float = MARGIN
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, not {self.alpha}")
        if not 0 < self.margin < math.inf:
            raise ValueError(f"the margin must be a positive share of the base's mean, such as 0.1, not {self.margin}")

    def covers(self, record: Record) -> bool:
        """Whether this record takes part."""
        if record.status != "measured" or record.better not in ("higher", "lower"):
            return False
        if TRAINING in record.protocol:  # where it began or was best, not what it came to
            return False
        if not self.metrics:
            return record.headline
        names = (record.metric, record.series)
        return any(fnmatch.fnmatchcase(n, pattern.replace("[", "[[]")) for n in names for pattern in self.metrics)
