"""Two revisions timed in turn within one session, so that the machine's moods meet both."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from harness.comparison.revisions import commit_of, files_of, own_packages_first
from harness.comparison.verdicts import OPEN, Verdict
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)

_MIN_SECONDS = 0.05  # seconds of a round: below that the clock and the pipe play a part
_MAX_STEPS = 200
_ATTEMPTS = 2

# What runs steps on demand in a source tree: its name now, and until 0.1.
_SERVERS = ("harness.comparison.step_server", "harness.measurement.pace")


@dataclass(frozen=True)
class Timing:
    """What to time. `references` maps specs to batch sizes."""

    references: Mapping[str, int]
    rounds: int
    device: str
    modules: tuple[str, ...]
    margin: float
    alpha: float


@dataclass(frozen=True)
class SpeedComparison:
    """One reference on both sides.

    Attributes:
        base, candidate: seconds per step of each round, in pairs.
        ratio, low, high: the median of candidate / base and its interval; those of all references together hold with
            1 − α.
        memory: peak allocated memory, bytes, estimated on either side; None where a step can't be followed.
        looks: how often it was timed: what seems slower is timed once more, and only that second time counts.
    """

    reference: str
    batch_size: int
    base: tuple[float, ...]
    candidate: tuple[float, ...]
    ratio: float
    low: float
    high: float
    verdict: Verdict
    memory: tuple[int, int] | None
    memory_verdict: Verdict
    looks: int


def time_revisions(base: str, candidate: str, what: Timing) -> list[SpeedComparison]:
    """Run each reference's step on both sides in turn: base, candidate, candidate, base, …

    Raises:
        ValueError: a revision that can't be checked out or timed.
    """
    found = []
    with contextlib.ExitStack() as stack:
        trees = [stack.enter_context(files_of(commit_of(revision))) for revision in (base, candidate)]
        for spec, batch_size in what.references.items():
            asked = {"spec": spec, "batch_size": batch_size, "device": what.device, "modules": list(what.modules)}
            report_progress(_log, f"{spec}, batch {batch_size}: starting both sides")
            with _server(trees[0], asked) as one, _server(trees[1], asked) as other:
                found.append(_compare_speed_of(one, other, spec, batch_size, what))
    return found


def _compare_speed_of(one: _Server, other: _Server, spec: str, batch_size: int, what: Timing) -> SpeedComparison:
    steps = _steps_a_round(one)
    alpha = what.alpha / len(what.references)
    for look in range(1, _ATTEMPTS + 1):
        pairs = []
        for number in range(what.rounds):
            report_progress(_log, f"{spec}, batch {batch_size}, look {look}: rounds", number, what.rounds)
            pairs.append(_round(one, other, steps, swapped=number % 2 == 1))
        ratio, low, high, verdict = judge_ratios([later / before for before, later in pairs], what.margin, alpha)
        if verdict != "worse":
            break
    memory = (one.memory, other.memory) if one.memory and other.memory else None
    before, later = zip(*pairs, strict=True)
    known = judge_memory(memory, what.margin)
    return SpeedComparison(spec, batch_size, before, later, ratio, low, high, verdict, memory, known, look)


def judge_ratios(ratios: Sequence[float], margin: float, alpha: float) -> tuple[float, float, float, Verdict]:
    """Median of candidate / base, the exact interval of that median, and the verdict.

    The interval is made of order statistics, whatever the times' distribution. *kept*: it lies within 1 / (1 + margin)
    and 1 + margin; else *worse* (*better*) when it lies above (below) 1; else *inconclusive*. With too few rounds for
    the level the interval is open, and nothing but *inconclusive* can come out.
    """
    from scipy.stats import quantile_test  # takes a second

    interval: Any = quantile_test(np.asarray(ratios), q=1, p=0.5).confidence_interval(confidence_level=1 - alpha)
    low, high = float(interval.low), float(interval.high)
    verdict: Verdict = "inconclusive"
    if 1 / (1 + margin) <= low and high <= 1 + margin:
        verdict = "kept"
    elif low > 1:
        verdict = "worse"
    elif high < 1:
        verdict = "better"
    return median(ratios), low, high, verdict


def judge_memory(memory: tuple[int, int] | None, margin: float) -> Verdict:
    """Estimates have no spread: what changes by more than the margin is worse or better."""
    if memory is None:
        return "not comparable"
    before, after = memory
    if after > before * (1 + margin):
        return "worse"
    return "better" if after < before / (1 + margin) else "kept"


def speed_comparison_table(found: Sequence[SpeedComparison]) -> pd.DataFrame:
    """A row per reference."""
    return pd.DataFrame(
        [
            {
                "reference": pace.reference,
                "batch": pace.batch_size,
                "base, ms a step": f"{1000 * median(pace.base):.4g}",
                "candidate, ms a step": f"{1000 * median(pace.candidate):.4g}",
                "candidate / base (interval)": f"{pace.ratio:.3f} ({_interval(pace)})",
                "rounds": f"{len(pace.base)}, look {pace.looks}",
                "time": pace.verdict,
                "memory, estimated": (
                    "–" if pace.memory is None else " → ".join(f"{size / 2**20:.1f} MiB" for size in pace.memory)
                ),
                "memory": pace.memory_verdict,
            }
            for pace in found
        ]
    )


def _interval(pace: SpeedComparison) -> str:
    return "open: too few rounds" if math.isnan(pace.low) else f"{pace.low:.3f} to {pace.high:.3f}"


def speed_exit_code(found: Sequence[SpeedComparison]) -> int:
    """1 when a step got slower or takes more memory, else 10 when anything is open, else 0."""
    verdicts = {pace.verdict for pace in found} | {pace.memory_verdict for pace in found}
    return 1 if "worse" in verdicts else OPEN if verdicts & {"inconclusive", "not comparable"} else 0


class _Server:
    """A process of one source tree that runs steps on demand (`harness.comparison.step_server`)."""

    def __init__(self, process: subprocess.Popen[str], ready: Mapping[str, int | None]) -> None:
        self.process = process
        self.memory = ready["peak_allocated"]

    def seconds(self, steps: int) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise ValueError("one side stopped answering while it was timed: it ran out of memory, or its step failed")
        return float(answer) / steps


@contextlib.contextmanager
def _server(tree: Path, asked: Mapping[str, object]) -> Iterator[_Server]:
    servers = [name for name in _SERVERS if (tree / f"{name.replace('.', '/')}.py").is_file()]
    if not servers:
        raise ValueError(
            f"{tree.name} can't time {asked['spec']}: it has no module {' or '.join(_SERVERS)}, which runs steps on "
            "demand"
        )
    command = [sys.executable, "-P", "-m", servers[0], json.dumps(asked)]
    # What it says on standard error goes to a file: a pipe that nobody reads would fill up and stop it.
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=tree,
            env=own_packages_first(tree),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                said.seek(0)
                words = said.read().strip().splitlines()
                raise ValueError(f"{tree.name} can't time {asked['spec']}: {words[-1] if words else 'no word why'}")
            yield _Server(process, json.loads(line))
        finally:
            process.kill()
            process.communicate()


def _round(one: _Server, other: _Server, steps: int, *, swapped: bool) -> tuple[float, float]:
    if swapped:
        later = other.seconds(steps)
        return one.seconds(steps), later
    return one.seconds(steps), other.seconds(steps)


def _steps_a_round(server: _Server) -> int:
    return max(1, min(_MAX_STEPS, round(_MIN_SECONDS / max(1e-6, server.seconds(1)))))
