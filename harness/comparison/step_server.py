"""A process that runs a reference's step when it is told to, and says how long that took.

    python -m harness.comparison.step_server '{"spec": …, "batch_size": …, "device": …, "modules": []}'

It first prints one line of JSON with what it is ready to run; then, for each line on standard input, a number of
steps, the seconds that they took. Two of them, of two source trees, can be timed in turn.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

import torch

from harness.memory.estimate import estimate
from harness.memory.storage_tracer import UntraceableError
from harness.training.device import numerics, resolve_device
from harness.training.flops import step_threads
from harness.training.synthetic_step import SyntheticStep
from reference import get, load_module

_WARM_UP = 3


def serve(asked: dict[str, object], answers: TextIO) -> None:
    """Answer on `answers` until standard input ends.

    Raises:
        ValueError: the reference, the batch size or the device can't be had.
    """
    for module in asked["modules"]:  # type: ignore[attr-defined]
        load_module(module)
    reference = get(str(asked["spec"]))
    batch_size = int(str(asked["batch_size"]))
    device = resolve_device(str(asked["device"]))
    try:
        taken: int | None = estimate(reference, batch_size).peak_allocated
    except UntraceableError:
        taken = None
    with numerics(device, deterministic=True, threads=step_threads(reference, batch_size, device)):
        prepared = SyntheticStep(reference, batch_size, device)
        prepared.seconds(_WARM_UP)
        print(json.dumps({"peak_allocated": taken, "threads": torch.get_num_threads()}), file=answers, flush=True)
        for line in sys.stdin:
            print(prepared.seconds(int(line)), file=answers, flush=True)


if __name__ == "__main__":
    try:
        own, sys.stdout = sys.stdout, sys.stderr  # what a stranger's code prints is no answer
        serve(json.loads(sys.argv[1]), own)
    except ValueError as error:
        sys.exit(f"{error}")
