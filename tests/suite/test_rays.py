"""A run on Ray: the same values whoever does what and whoever is killed, and a line for each mistake."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness.suite.task import visible_gpus
from tests.processes import call
from tests.ray_cluster import cluster_of_two
from tests.suite.test_jobs import ROOT, ended, records
from tests.suite.test_merge import ASKED, TOYS, joined, same, start, told, wait_for, whole

ray = pytest.importorskip("ray", reason="Ray isn't installed: pip install 'gan-harness[ray]'")
RAY = ("--engine", "ray")
__all__ = ["whole"]  # a fixture


def processes_of(pid: int) -> Iterator[tuple[psutil.Process, str]]:
    """The processes that do checks, and the workers above them."""
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            yield process, " ".join(process.cmdline())


def kill(pid: int, what: str, least: int, report: Path) -> None:
    """Kill a process of a run, once so many checks have been told of."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        found = [process for process, line in processes_of(pid) if what in line]
        if found and told(report) >= least:
            with contextlib.suppress(psutil.NoSuchProcess):
                found[0].send_signal(signal.SIGKILL)
                return
        time.sleep(0.02)
    raise AssertionError(f"there is no {what}")


DEADLY = ("--reference-module", "tests.deadly_toys", "--references", "toy-grid,idl-gan-grid,toy-deadly")


def test_what_is_killed_is_done_again_and_what_always_dies_has_failed(whole: tuple[Path, str], tmp_path: Path) -> None:
    report = tmp_path / "report"
    process = start(report, *RAY, *DEADLY, "--retries", "2", "-k", "shapes or modes")
    kill(process.pid, "--joins", 1, report)
    kill(process.pid, "ray::do_unit", 4, report)
    shown = ended(process, report, code=1)
    found, before = records(report), records(whole[0])
    for reference in ("toy-grid", "idl-gan-grid"):
        mine = [r for r in found if r["reference"] == reference]
        assert mine == [r for r in before if r["reference"] == reference], shown
    failed = [r for r in found if r["status"] == "failed"]
    assert {(r["reference"], r["metric"]) for r in failed} >= {("toy-deadly", "test_modes")}
    assert {r["reference"] for r in failed} == {"toy-deadly"}
    assert failed[0]["reason"].startswith("lost 3 times: ")
    lines = [line for path in (report / "checks").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len({json.loads(line)["place"] for line in lines}) == len(lines), "no check was done twice"


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], None]]]:
    monkeypatch.setenv("RAY_worker_niceness", "0")
    with cluster_of_two() as found:
        yield found


def test_of_a_lost_node_and_a_killed_driver_nothing_is_left_and_the_next_goes_on(
    two_nodes: tuple[str, Callable[[], None]], whole: tuple[Path, str], tmp_path: Path
) -> None:
    report, (address, lose_one) = tmp_path / "report", two_nodes
    process = start(report, *RAY, "--address", address)
    wait_for(1, report)
    lose_one()
    wait_for(5, report)
    children = joined(report)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    psutil.wait_procs(children, timeout=60)
    assert not any(child.is_running() for child in children)
    ended(start(report, "--resume"), report)
    same(report, whole[0])


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        ray.init(address="local", num_cpus=4, num_gpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(("share", "expected"), [(1.0, {"0", "1"}), (0.5, {"0", "1"}), (0.0, {""})])
def test_a_task_sees_the_gpus_that_it_was_given_and_no_others(share: float, expected: set[str]) -> None:
    """Two GPUs that are only said to be there."""
    task = ray.remote(visible_gpus).options(num_gpus=share, num_cpus=1)
    assert set(ray.get([task.remote(masked=share > 0) for _ in range(6)])) <= expected
    assert not share or set(ray.get([task.remote(masked=True) for _ in range(6)]))


def test_mistakes_are_a_line_each(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for arguments, said in (
        ((*RAY, "--address", nobody), f"no Ray answers at {nobody}: "),
        (("--retries", "2", "--jobs", "2"), "--retries has no effect on a CPU without --engine ray"),
        ((*RAY, "--gpus-per-run", "0.5", "--device", "cpu"), "--gpus-per-run has no effect on a CPU"),
    ):
        done = call(
            [*ASKED, *TOYS, "--report-dir", str(tmp_path / "r"), *arguments], ROOT, timeout=120, program="pytest"
        )
        assert done.returncode == 2, (arguments, done.stdout + done.stderr)
        assert said in done.stdout + done.stderr, (arguments, done.stdout + done.stderr)


def test_without_ray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.suite.rays import import_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"--engine ray needs Ray: pip install 'gan-harness\[ray\]'"):
        import_ray()


def test_nothing_of_ray_is_imported_unless_asked_for() -> None:
    code = "import harness.suite.plugin, sys; sys.exit('ray' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
