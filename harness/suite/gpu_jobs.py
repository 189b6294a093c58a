"""Units in several processes of this machine that share its GPUs; one process tells of all.

A process that has used CUDA can't be forked: each of these collects for itself, once, and sees the GPUs that it was
given and no others. What times the machine comes afterwards, in this process, with nobody beside it.
"""

from __future__ import annotations

import select
from collections import Counter, deque
from collections.abc import Sequence

import pytest

from harness.suite.child import Child, Command, LostError, RefusedError
from harness.suite.journal import read_told
from harness.suite.run import Run
from harness.suite.units import Unit

_POLL_SECONDS = 0.2


def gpu_masks(visible: str | None, gpus: int, per_run: float, jobs: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each of `jobs` processes that take `per_run` GPUs, least crowded GPUs first.

    `visible` is that variable here, None where it isn't set, and then there are `gpus`.

    Raises:
        ValueError: there isn't room for so many.
    """
    names = visible.split(",")[:gpus] if visible else [str(index) for index in range(gpus)]
    if per_run > gpus:
        raise ValueError(f"--gpus-per-run {per_run:g}: there {'is 1' if gpus == 1 else f'are {gpus}'}")
    if per_run >= 1:
        size = int(per_run)
        masks = [",".join(names[first : first + size]) for first in range(0, gpus - size + 1, size)]
    else:
        masks = names * int(1 / per_run + 1e-9)
    if jobs > len(masks):
        raise ValueError(
            f"--jobs {jobs} with {per_run:g} GPUs for each: there {'is 1' if gpus == 1 else f'are {gpus}'}, which "
            f"{len(masks)} can share; --gpus-per-run says what each takes"
        )
    return masks[:jobs]


class GpuJobs:
    """The processes of a run, seen from the one that tells of them.

    Args:
        command: how they are started.
        masks: the GPUs that each of them sees.
        retries: how often a unit is tried again whose process was lost.
    """

    def __init__(self, run: Run, command: Command, masks: Sequence[str], retries: int) -> None:
        self._run, self._suite, self._command, self._retries = run, run.suite, command, retries
        self._waiting = deque(run.shared)
        self._masks = list(masks[: max(1, len(run.shared))])
        self._busy: dict[Child, tuple[str, Unit | None]] = {}  # with its mask; no unit while it collects
        self._lost: Counter[str] = Counter()

    def run(self) -> None:
        """Do every unit that is left.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        try:
            with self._suite.deadline.until_stopped():
                for mask in self._masks if self._waiting else ():
                    self._start(mask)
                while self._busy:
                    for child in select.select(list(self._busy), [], [], _POLL_SECONDS)[0]:
                        self._hear(child)
                    self._suite.deadline.check()
                self._run.drop_logs()
        finally:
            self._end()
        self._run.do_alone()

    def _start(self, mask: str) -> None:
        self._busy[Child(self._command, mask)] = (mask, None)

    def _hear(self, child: Child) -> None:
        """Tell what a process has answered, and give it the next unit."""
        mask, unit = self._busy[child]
        try:
            told = child.answer()
        except RefusedError as error:
            pytest.exit(f"gan-harness: {error}", error.exit_code)
        except LostError as error:
            del self._busy[child]
            self._try_again(unit, mask, error)
            return
        self._run.check_machine(child.environment)
        for one in told:
            self._run.tell(one)
        if self._waiting:
            following = self._waiting.popleft()
            self._busy[child] = (mask, following)
            child.ask([place for place, _ in following.items])
        else:
            del self._busy[child]
            child.stop()
        names = [unit.name for _, unit in self._busy.values() if unit is not None]
        self._suite.say_what_runs(f"{len(names)} units begun: {', '.join(names)}")

    def _try_again(self, unit: Unit | None, mask: str, error: LostError) -> None:
        """What a process that died hadn't told of is done by another; what always dies has failed."""
        left = self._run.left_of_lost(unit) if unit is not None else []
        what = unit.key if unit is not None else ""
        self._lost[what] += 1
        if self._lost[what] <= self._retries:
            self._waiting.extendleft(left)
        elif unit is None:
            pytest.exit(f"gan-harness: no process of this run can start: {error}", 2)
        else:
            for whole in left:
                self._run.fail(whole, f"lost {self._lost[what]} times: {error}")
        if self._waiting:
            self._start(mask)

    def _end(self) -> None:
        """End whoever still works, in order, and take what it has told."""
        for child in self._busy:
            child.terminate()
        for child in self._busy:
            child.stop()
        if self._busy:
            self._run.take(read_told(self._run.folder).values())
