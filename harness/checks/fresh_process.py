"""Train in a process of its own; die by SIGKILL after a given step if a task says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.training import RunConfig, train
from harness.training.state import TrainingState


def run_tasks(tasks: Sequence[Mapping[str, Any]]) -> None:
    """Do one task after the other."""
    for task in tasks:
        run_task(task)


def run_task(task: Mapping[str, Any]) -> None:
    """Train `config` in the folder `out`; `resume` goes on with what is there, `kill_at` names the last step."""

    def die(step: int, _: TrainingState) -> None:
        if step == task.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)

    train(RunConfig.from_json(task["config"]), Path(task["out"]), resume=bool(task.get("resume")), on_step=die)
