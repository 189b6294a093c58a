"""Units on Ray: on this machine, or on a cluster that is there; one process tells of all.

A unit is a task. Ray places it, masks the GPUs, and tries again what was lost with a worker or a node; what a check has
found is never tried again. What was told lies in the report folder, which all nodes share.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from harness.suite.child import Command, LostError
from harness.suite.journal import Told, read_told
from harness.suite.run import Run
from harness.suite.task import do_unit
from harness.suite.units import Unit

_POLL_SECONDS = 0.5
_SHOWN = 8  # units in a line of progress
_SAID = 200  # characters of what Ray says
_ANSWER_SECONDS = 5.0  # that an address gets to answer
_STOPPING_SECONDS = 40.0  # that children get to end, and Ray to notice
_STORE_BYTES = 100 * 2**20  # for objects: what goes through Ray is small


def import_ray() -> Any:
    """Ray, which nothing else imports.

    Raises:
        ValueError: it isn't installed.
    """
    # A task without a GPU gets a mask that shows none; and Ray would make its workers nice to everybody else.
    for name in ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "RAY_worker_niceness"):
        os.environ.setdefault(name, "0")
    try:
        import ray
    except ImportError:
        raise ValueError("--engine ray needs Ray: pip install 'gan-harness[ray]'") from None
    return ray


class Rays:
    """A run's units as tasks, seen from the process that tells of them.

    Args:
        command: how the processes that do checks are started.
        address: of a cluster, `auto` for the one of this node; None starts Ray on this machine.
        gpus: what a task takes of a GPU; 0 on a CPU.
        cpus: what it takes of the processors.
        jobs: how many tasks at once at most; None for as many as there is room for.
        retries: how often a task is tried again that was lost.
    """

    def __init__(
        self,
        run: Run,
        command: Command,
        *,
        address: str | None,
        gpus: float,
        cpus: int,
        jobs: int | None,
        retries: int,
    ) -> None:
        self._run, self._suite, self._command, self._address = run, run.suite, command, address
        self._gpus, self._cpus, self._jobs, self._retries = gpus, cpus, jobs, retries

    def run(self) -> None:
        """Do every unit that is left.

        Raises:
            ValueError: Ray isn't there, or hasn't what is asked for.
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop, after --maxfail or so.
        """
        ray = import_ray()
        with connected(ray, self._address, self._gpus), self._suite.deadline.until_stopped():
            self._all(ray, self._run.shared, self._jobs, self._gpus)
            # What times a machine has a whole GPU, and nothing else runs.
            for unit in self._run.alone:
                self._all(ray, [unit], 1, 1.0 if self._gpus else 0)
            self._run.drop_logs()

    def _all(self, ray: Any, units: Sequence[Unit], jobs: int | None, gpus: float) -> None:
        task = ray.remote(do_unit).options(
            num_cpus=self._cpus, num_gpus=gpus, max_retries=self._retries, retry_exceptions=[LostError]
        )
        waiting, begun = list(units), dict[Any, Unit]()
        try:
            while waiting or begun:
                while waiting and (jobs is None or len(begun) < jobs):
                    unit = waiting.pop(0)
                    begun[task.remote(self._command, [place for place, _ in unit.items], gpus > 0)] = unit
                running = [unit.name for unit in begun.values()]
                self._suite.say_what_runs(f"{len(running)} units begun or waiting: {', '.join(running[:_SHOWN])}")
                for ready in ray.wait(list(begun), timeout=_POLL_SECONDS)[0]:
                    self._tell(ray, ready, begun.pop(ready))
                self._suite.deadline.check()
        finally:
            self._stop(ray, list(begun))

    def _tell(self, ray: Any, ready: Any, unit: Unit) -> None:
        """Tell what a unit has found; one that always dies has failed."""
        try:
            found = ray.get(ready)
        except (ray.exceptions.RayError, LostError) as error:
            for left in self._run.left_of_lost(unit):
                self._run.fail(left, f"lost {self._retries + 1} times: {cause_of(error)[:_SAID]}")
            return
        if "refused" in found:
            pytest.exit(f"gan-harness: {found['refused']}", found["exit_code"])
        self._run.check_machine(found["environment"])
        for told in found["told"]:
            self._run.tell(Told(**told))

    def _stop(self, ray: Any, begun: Sequence[Any]) -> None:
        """End what still runs, in order, and take what it has told."""
        if not begun:
            return
        for one in begun:
            with contextlib.suppress(Exception):
                ray.cancel(one)
        with contextlib.suppress(Exception):
            ray.wait(list(begun), num_returns=len(begun), timeout=_STOPPING_SECONDS)
        self._run.take(read_told(self._run.folder).values())


def cause_of(error: BaseException) -> str:
    """What went wrong, of what Ray wraps it in: a line."""
    cause = getattr(error, "cause", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__


@contextlib.contextmanager
def connected(ray: Any, address: str | None, gpus: float) -> Iterator[None]:
    """Ray, on this machine or where `address` says, until the end of the block.

    Raises:
        ValueError: nobody answers there, or no node has so many GPUs.
    """
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        else:
            _check_answers(address)
            ray.init(address=address, **quiet)
    except Exception as error:
        raise ValueError(
            f"no Ray answers at {address or 'this machine'}: {' '.join(str(error).split())[:200]}; if the cluster "
            "wants a token, RAY_AUTH_MODE=token and the token must be set here too"
        ) from error
    try:
        most = max((node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        if gpus > most:
            raise ValueError(f"--gpus-per-run {gpus:g}: no node has more than {most:g} GPUs")
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
