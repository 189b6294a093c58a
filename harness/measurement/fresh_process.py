"""Train in a process of its own, from tasks in JSON; die by SIGKILL after a given step if a task says so."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.training import RunConfig, train
from harness.training.state import TrainingState


def run_task(task: Mapping[str, Any]) -> None:
    """Train `config` in the folder `out`; `resume` goes on with what is there, `kill_at` names the last step."""

    def die(step: int, _: TrainingState) -> None:
        if step == task.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)

    train(RunConfig.from_json(task["config"]), Path(task["out"]), resume=bool(task.get("resume")), on_step=die)


if __name__ == "__main__":
    for one in json.loads(sys.argv[1]):
        run_task(one)
