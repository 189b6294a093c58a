"""Affinity and control groups of both versions, as the kernel writes them, below a folder that stands for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.processors import (
    is_crowded,
    processor_quota,
    throttled_microseconds,
    usable_processors,
    waiting_policy,
)


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A root with this /proc/self/cgroup and these files below /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{n}": t for n, t in files.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "200000 100000\n"}, 0.5),
        ("0::/docker/1234\n", {"cpu.max": "300000 100000\n"}, 3.0),
        (
            "4:cpu,cpuacct:/x\n0::/\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            4.0,
        ),
        ("4:cpu,cpuacct:/x\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.0),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("4:memory:/x\n", {"memory/x/cpu.max": "100000 100000\n"}, None),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_the_quota_is_the_least_of_all_groups_above(
    groups: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert processor_quota(system(tmp_path, groups, files)) == quota


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert processor_quota(tmp_path) is None
    assert throttled_microseconds(tmp_path) is None
    assert usable_processors(tmp_path) == len(os.sched_getaffinity(0))


@given(quota=st.floats(0.01, 64))
def test_whole_processors_of_the_quota_are_usable_and_at_least_one(
    quota: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = system(tmp_path_factory.mktemp("system"), "0::/\n", {"cpu.max": f"{round(quota * 100000)} 100000\n"})
    usable = usable_processors(root)
    assert 1 <= usable <= len(os.sched_getaffinity(0))
    assert usable <= max(1, quota + 1e-3)


def test_affinity_is_followed() -> None:
    one = next(iter(os.sched_getaffinity(0)))
    code = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); from harness.training.device import available_threads; "
        "print(available_threads())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("usage_usec 9\nthrottled_usec 1234\n", 1234),
        ("nr_throttled 2\nthrottled_time 5000000\n", 5000),
        ("usage_usec 9\n", None),
        ("broken", None),
    ],
)
def test_time_held_back_is_counted(text: str, microseconds: int | None, tmp_path: Path) -> None:
    assert throttled_microseconds(system(tmp_path, "0::/\n", {"cpu.stat": text})) == microseconds


PROCESSORS = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("minute", "running", "crowded"),
    [(0.0, 1, False), (PROCESSORS - 0.5, PROCESSORS, False), (PROCESSORS + 0.5, 1, True), (0.0, PROCESSORS + 1, True)],
)
def test_a_machine_is_crowded_when_more_wants_to_run_than_there_are_processors(
    minute: float, running: int, crowded: bool, tmp_path: Path
) -> None:
    root = system(tmp_path, "0::/\n", {})
    (root / "proc/loadavg").write_text(f"{minute} 0.1 0.1 {running}/80 1234\n")
    assert is_crowded(root) == crowded
    assert waiting_policy({}, root) == ({"GOMP_SPINCOUNT": "10000"} if crowded else {})


def test_a_quota_makes_it_crowded_and_what_cannot_be_read_does_not(tmp_path: Path) -> None:
    assert is_crowded(system(tmp_path / "limited", "0::/\n", {"cpu.max": "150000 100000\n"}))
    assert not is_crowded(tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("nonsense")
    assert not is_crowded(tmp_path)


@pytest.mark.parametrize("given", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_whoever_has_decided_how_threads_wait_is_left_alone(given: dict[str, str], tmp_path: Path) -> None:
    root = system(tmp_path, "0::/\n", {"cpu.max": "150000 100000\n"})
    assert waiting_policy(given, root) == {}
    assert waiting_policy({"PATH": "/bin"}, root) == {"GOMP_SPINCOUNT": "10000"}


def test_the_package_sets_the_policy_before_pytorch_is_imported() -> None:
    environ = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = (
        "import os, sys, pathlib\n"
        "read = pathlib.Path.read_text\n"
        "pathlib.Path.read_text = lambda p, *a: '999.0 0 0 1/1 1' if str(p) == '/proc/loadavg' else read(p, *a)\n"
        "import harness\n"
        "assert 'torch' not in sys.modules\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    found = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert found.stdout == "10000\n"
