"""The gate's error rates, from real trainings: how often it alarms for nothing, and whether it misses half a training.

The records are of sixteen seeds of one reference on MNIST, trained for two epochs and for one (see
`reports/measured/README.md`). Base and candidate are drawn from different seeds each time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.comparison.verdicts import compare, exit_code, least_seeds
from harness.records.record import Record, read_records

RECORDS = Path(__file__).parents[2] / "reports" / "measured" / "intel-xeon-2-cores" / "gate" / "records.jsonl"
COMPARISONS = 200
METRICS = 5


@pytest.fixture(scope="module")
def trained() -> dict[tuple[float, int], list[Record]]:
    """The records of a training length and seed; the length isn't said, or nothing could be compared."""
    groups: dict[tuple[float, int], list[Record]] = {}
    for record in read_records(RECORDS):
        assert record.epochs is not None
        assert record.seed is not None
        groups.setdefault((record.epochs, record.seed), []).append(replace(record, epochs=None))
    return groups


def alarms(trained: dict[tuple[float, int], list[Record]], candidate_epochs: float, seeds: int) -> float:
    """The share of comparisons that say worse, with this many seeds a side."""
    random = np.random.default_rng(0)
    pool = sorted({seed for _, seed in trained})
    found = []
    for _ in range(COMPARISONS):
        drawn = random.permutation(pool)
        base = [r for seed in drawn[:seeds] for r in trained[2.0, int(seed)]]
        candidate = [r for seed in drawn[seeds : 2 * seeds] for r in trained[candidate_epochs, int(seed)]]
        found.append(exit_code(compare(base, candidate)) == 1)
    return float(np.mean(found))


def test_the_recommended_seeds_are_the_fewest_that_can_tell() -> None:
    assert least_seeds(METRICS) == 5


def test_false_alarms_are_rare(trained: dict[tuple[float, int], list[Record]]) -> None:
    assert len(trained) == 32
    assert alarms(trained, 2.0, seeds=5) <= 0.05


def test_half_a_training_is_noticed(trained: dict[tuple[float, int], list[Record]]) -> None:
    assert alarms(trained, 1.0, seeds=5) >= 0.95


def test_too_few_seeds_say_nothing_instead_of_kept(trained: dict[tuple[float, int], list[Record]]) -> None:
    """What a gate without a test for power would get wrong."""
    assert alarms(trained, 1.0, seeds=3) == 0
    base = [r for seed in (100, 101, 102) for r in trained[2.0, seed]]
    half = [r for seed in (103, 104, 105) for r in trained[1.0, seed]]
    assert exit_code(compare(base, half)) == 10
