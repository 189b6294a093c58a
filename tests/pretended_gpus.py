"""A plugin of pytest's for tests: what `--jobs N` does on GPUs, on a machine without any.

The processes are real, and so are the masks that they are started with; what they compute is the CPU's.
"""

from __future__ import annotations

import pytest

from harness.suite.gpu_jobs import GpuJobs, gpu_masks
from harness.suite.run import Run

RETRIES = 1


def _on_two_gpus(run: Run, jobs: int) -> GpuJobs:
    return GpuJobs(run, run.command(1, []), gpu_masks(None, 2, 1, jobs), RETRIES)


pytest.MonkeyPatch().setattr("harness.suite.plugin.Jobs", _on_two_gpus)
