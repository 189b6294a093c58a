"""A unit as a task, in a worker. Imports nothing that takes long: every worker imports it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.records.report_folder import CHECKS
from harness.suite.child import Child, Command, RefusedError
from harness.suite.journal import read_told

_children: dict[tuple[str, str | None], Child] = {}  # by run, and the GPUs that they see


def visible_gpus(*, masked: bool) -> str | None:
    """What CUDA_VISIBLE_DEVICES should be in a worker: what Ray has chosen, or nothing."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") if masked else ""


def do_unit(command: Command, places: Sequence[int], masked: bool) -> dict[str, Any]:
    """In a worker: do checks, by their places, in a process that goes on from unit to unit.

    What an attempt that was lost has told isn't done again. `masked`: Ray has chosen GPUs; else none is seen.

    Raises:
        LostError: the process died; Ray tries again.
    """
    mask = visible_gpus(masked=masked)
    earlier = read_told(Path(command.report) / CHECKS)
    told = [earlier[place] for place in places if place in earlier]
    facts = None
    try:
        if left := [place for place in places if place not in earlier]:
            child = _child(command, mask)
            told, facts = told + child.do(left), child.environment
        return {"told": [asdict(one) for one in told], "environment": facts}
    except RefusedError as error:
        return {"refused": str(error), "exit_code": error.exit_code}
    except KeyboardInterrupt:
        if (stopped := _children.pop((command.run, mask), None)) is not None:
            stopped.stop()
        raise


def _child(command: Command, mask: str | None) -> Child:
    found = _children.get((command.run, mask))
    if found is None or not found.runs:
        _children.pop((command.run, mask), None)
        found = _children[command.run, mask] = Child(command, mask)
    return found
