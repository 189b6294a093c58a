"""To be a process that does the checks it is told to: the other end of `Child`."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.records.report_folder import CHECKS
from harness.suite.journal import Journal, read_collected
from harness.suite.run import collected
from harness.suite.session import Session
from harness.suite.units import run_checks
from harness.training.device import cpu_threads

_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def do_as_told(session: pytest.Session, suite: Session, told: Mapping[str, Any]) -> None:
    """Be that process: do what it is asked for until nobody can ask any more.

    It refuses, and ends, where the report is another run's, or where its code or its checks aren't the run's.
    """
    die_with_parent()
    asks, answers = os.fdopen(told["pipes"][0], encoding="utf-8"), os.fdopen(told["pipes"][1], "w", encoding="utf-8")

    def answer(**content: Any) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    folder = Path(suite.settings.report_dir) / CHECKS
    there, now = read_collected(folder), collected(session.items, ())
    if there is None or there.run != told["run"]:
        answer(
            refused=f"{suite.settings.report_dir} on {platform.node()} isn't this run's: all nodes must share it",
            exit_code=2,
        )
        return
    differ = [name for name in now.code if now.code[name] != there.code.get(name)]
    if differ or now.checks != there.checks:
        what = f"the code of {', '.join(differ)}" if differ else "what is to be checked"
        answer(refused=f"{what} is another on {platform.node()} than where the run began", exit_code=2)
        return
    session.config.pluginmanager.register(Journal(suite, session.config, Path(told["journal"])), "gan-harness-journal")
    answer(environment=suite.recorder.environment)
    try:
        with cpu_threads(told["threads"]):
            for line in asks:
                run_checks([(place, session.items[place]) for place in json.loads(line)], session, suite)
                answer(done=True)
    except pytest.exit.Exception as error:
        answer(refused=str(error.msg).removeprefix("gan-harness: "), exit_code=error.returncode or 2)
        raise
    except (session.Failed, session.Interrupted):  # whoever tells of all comes to the same end
        answer(done=True)
    except KeyboardInterrupt:
        answer(refused="it was stopped", exit_code=2)
        raise


def die_with_parent() -> None:
    """A kill of the process that started this one ends this one too, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
