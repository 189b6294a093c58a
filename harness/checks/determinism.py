"""Whether a reference gives the same bits: one training, done again in every way that must not matter.

Each training writes the digest of its whole state after every step, so that two that differ can be told apart by the
first step and tensor.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.checks.fresh_process import run_tasks
from harness.training import RunConfig, train
from harness.training.fresh import fresh_processes
from harness.training.run_folder import RunFolder, read_rows

Trace = dict[int, dict[str, str]]
_PROCESS_SECONDS = 1800


@dataclass(frozen=True)
class BitComparison:
    """One variation against the first training. `difference` is None when every bit of every step is the same.

    `state` tells what the variation's training ended with from everything else.
    """

    variation: str
    must_differ: bool
    difference: str | None
    state: str = ""

    @property
    def as_expected(self) -> bool:
        """The same bits, or, where the seed is another, different ones."""
        return (self.difference is not None) == self.must_differ


def compare_variations(config: RunConfig, folder: Path) -> list[BitComparison]:
    """Train `config` (which gives `steps`) in every variation, below `folder`, and compare each with the first.

    Other processes work while this one does, to save time. What is varied within this process is varied at once: the
    same bits then say that none of it plays a part.

    Raises:
        RuntimeError: a process ended otherwise than it should.
    """
    if config.steps is None or config.steps < 3:
        raise ValueError(f"comparing trainings takes at least 3 steps, not {config.steps}")
    half = config.steps // 2
    config = dataclasses.replace(
        config, trace=True, tensorboard=False, pictures=False, keep_checkpoints=0, sample_every=0, workers=0
    )
    # Killed one step after its checkpoint, so that resuming has something to do again.
    saving = dataclasses.replace(config, keep_checkpoints=1, checkpoint_every=half)
    killed = _start([_task(saving, folder / "killed") | {"kill_at": half + 1}])
    try:
        first = _trace(config, folder / "first")
        _expect(killed, -signal.SIGKILL)
    finally:
        killed.kill()
    more_logging = dataclasses.replace(config, log_every=1, sample_every=1, sample_count=5)
    here = {
        "again": config,
        "two_workers": dataclasses.replace(config, workers=2),
        "more_logging": more_logging,
    }
    # All three at once; only where that changes something, one after the other, to tell which does.
    together = dataclasses.replace(more_logging, workers=2)
    elsewhere = {
        "killed_and_resumed": _task(dataclasses.replace(config, checkpoint_every=0), folder / "killed")
        | {"resume": True},
        "other_seed": _task(dataclasses.replace(config, seed=config.seed + 1, steps=1), folder / "other_seed"),
    }
    fresh = _start(list(elsewhere.values()))
    try:
        found = _trace(together, folder / "together")
        if first_difference(first, found) is None:
            traces = dict.fromkeys(here, found)
        else:
            traces = {name: _trace(varied, folder / name) for name, varied in here.items()}
        _expect(fresh, 0)
    finally:
        fresh.kill()
    traces |= {name: read_trace(Path(task["out"])) for name, task in elsewhere.items()}
    traces["fresh_process"] = _fresh_trace(config, folder / "fresh_process", first, traces["killed_and_resumed"])
    order = ("again", "fresh_process", "two_workers", "more_logging", "killed_and_resumed", "other_seed")
    # Another seed's random streams differ in any case: there only the networks tell.
    prefixes = {"other_seed": "network/"}
    # It takes one step: what differs then will not be the same again.
    held = {name: {1: first[1]} if name in prefixes else first for name in order}
    return [_compared(name, held[name], traces[name], prefixes.get(name)) for name in order]


def _compared(variation: str, first: Trace, found: Trace, prefix: str | None) -> BitComparison:
    """With a `prefix`, those tensors must differ."""
    return BitComparison(variation, prefix is not None, first_difference(first, found, prefix or ""), _state(found))


def read_trace(folder: Path) -> Trace:
    """The digests of a run by step."""
    return {row["step"]: row["digests"] for row in read_rows(RunFolder(folder).trace)}


def first_difference(one: Trace, other: Trace, prefix: str = "") -> str | None:
    """The first step at which two trainings differ and the first tensor that does, in words; None if none does.

    Only tensors whose names begin with `prefix` are compared.
    """
    for step in sorted({*one, *other}):
        if step not in one or step not in other:
            return f"step {step} was done by only one of them"
        names = [name for name in dict.fromkeys((*one[step], *other[step])) if name.startswith(prefix)]
        different = [name for name in names if one[step].get(name) != other[step].get(name)]
        if different:
            return f"step {step}: {different[0]} ({len(different)} of {len(names)} tensors differ)"
    return None


def _state(trace: Trace) -> str:
    """The first 16 digits of a SHA-256 of all digests after the last step."""
    last = trace[max(trace)]
    return hashlib.sha256(json.dumps(last, sort_keys=True).encode()).hexdigest()[:16]


def _trace(config: RunConfig, folder: Path) -> Trace:
    train(config, folder)
    return read_trace(folder)


def _fresh_trace(config: RunConfig, folder: Path, first: Trace, resumed: Trace) -> Trace:
    """A fresh process's: that of the resumed training, both of whose processes were fresh, unless it has other bits."""
    if first_difference(first, resumed) is None:
        return resumed
    fresh = _start([_task(config, folder)])
    try:
        _expect(fresh, 0)
    finally:
        fresh.kill()
    return read_trace(folder)


def _task(config: RunConfig, folder: Path) -> dict[str, Any]:
    return {"config": config.to_json(), "out": str(folder)}


def _start(tasks: list[dict[str, Any]]) -> BaseProcess:
    """A new process that does `tasks` one after the other."""
    process = fresh_processes().Process(target=run_tasks, args=(tasks,))
    process.start()
    return process


def _expect(process: BaseProcess, code: int) -> None:
    process.join(_PROCESS_SECONDS)
    if process.exitcode != code:
        process.kill()
        raise RuntimeError(f"a training process ended with {process.exitcode}, not {code}; what it says stands above")
