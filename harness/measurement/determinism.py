"""Whether a reference gives the same bits: one training, done again in every way that must not matter.

Each training writes the digest of its whole state after every step, so that two that differ can be told apart by the
first step and tensor.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from harness.measurement.fresh_process import run_task
from harness.training import RunConfig, train
from harness.training.run_folder import RunFolder, read_rows

Trace = dict[int, dict[str, str]]
_SUBPROCESS_SECONDS = 1800


@dataclass(frozen=True)
class Comparison:
    """One variation against the first training. `difference` is None when every bit of every step is the same."""

    variation: str
    must_differ: bool
    difference: str | None

    @property
    def as_expected(self) -> bool:
        """The same bits, or, where the seed is another, different ones."""
        return (self.difference is not None) == self.must_differ


def compare_variations(config: RunConfig, folder: Path) -> list[Comparison]:
    """Train `config` (which gives `steps`) in every variation, below `folder`, and compare each with the first.

    Other processes work while this one does, to save time.

    Raises:
        RuntimeError: a process ended otherwise than it should.
    """
    if config.steps is None or config.steps < 3:
        raise ValueError(f"comparing trainings takes at least 3 steps, not {config.steps}")
    half = config.steps // 2
    config = dataclasses.replace(
        config, trace=True, tensorboard=False, pictures=False, checkpoint_every=half, sample_every=0, workers=0
    )
    # Killed one step after its checkpoint, so that resuming has something to do again.
    killed = _start_to_be_killed(_task(config, folder / "killed") | {"kill_at": half + 1})
    try:
        first = _trace(config, folder / "first")
        _expect_killed(killed)
    finally:
        killed.kill()
    here = {
        "again": config,
        "two_workers": dataclasses.replace(config, workers=2),
        "more_logging": dataclasses.replace(config, log_every=1, sample_every=1, sample_count=5),
        "other_seed": dataclasses.replace(config, seed=config.seed + 1),
    }
    fresh = _start_fresh([_task(config, folder / "fresh"), _task(config, folder / "killed") | {"resume": True}])
    try:
        traces = {name: _trace(varied, folder / name) for name, varied in here.items()}
        _expect_success(fresh)
    finally:
        if fresh.poll() is None:
            fresh.kill()
            fresh.communicate()
    traces["fresh_process"] = read_trace(folder / "fresh")
    traces["killed_and_resumed"] = read_trace(folder / "killed")
    order = ("again", "fresh_process", "two_workers", "more_logging", "killed_and_resumed", "other_seed")
    # Another seed's random streams differ in any case: there only the networks tell.
    prefixes = {"other_seed": "network/"}
    return [
        Comparison(name, name in prefixes, first_difference(first, traces[name], prefixes.get(name, "")))
        for name in order
    ]


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


def _trace(config: RunConfig, folder: Path) -> Trace:
    train(config, folder)
    return read_trace(folder)


def _task(config: RunConfig, folder: Path) -> dict[str, Any]:
    return {"config": config.to_json(), "out": str(folder)}


def _start_to_be_killed(task: dict[str, Any]) -> BaseProcess:
    """A process from a server that has imported PyTorch already: it needn't be fresh, only dead in the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["harness.measurement.fresh_process"])
    process = context.Process(target=run_task, args=(task,))
    process.start()
    return process


def _expect_killed(process: BaseProcess) -> None:
    process.join(_SUBPROCESS_SECONDS)
    if process.exitcode != -signal.SIGKILL:
        process.kill()
        raise RuntimeError(f"the training to be killed ended with {process.exitcode}, not {-signal.SIGKILL}")


def _start_fresh(tasks: list[dict[str, Any]]) -> subprocess.Popen[str]:
    """A new interpreter that does `tasks` one after the other."""
    command = [sys.executable, "-m", "harness.measurement.fresh_process", json.dumps(tasks)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _expect_success(process: subprocess.Popen[str]) -> None:
    try:
        output, _ = process.communicate(timeout=_SUBPROCESS_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError(f"a training process didn't end within {_SUBPROCESS_SECONDS} s") from None
    if process.returncode:
        raise RuntimeError(f"a training process ended with {process.returncode}: {output[-2000:]}")
