"""How many processors this process may use, and how its threads should wait: affinity, control groups, load."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

_GROUPS_OF_PROCESS = Path("proc/self/cgroup")
_CONTROLLERS = Path("sys/fs/cgroup")
_SOON = "10000"  # rounds of spinning, a tenth of a millisecond: what lies between two operators


def usable_processors(system: Path = Path("/")) -> int:
    """Processors that threads can run on at once: those of the affinity mask, at most the whole ones of the quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        allowed = os.cpu_count() or 1
    quota = processor_quota(system)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def processor_quota(system: Path = Path("/")) -> float | None:
    """Processors' worth of time that control groups (versions 1 and 2) grant, as for a container; None for no bound.

    A group is bound by its own quota and by those of all groups above it.
    """
    found = [quota for folder in _groups(system) if (quota := _quota(folder)) is not None]
    return min(found, default=None)


def waiting_policy(environ: Mapping[str, str], system: Path = Path("/")) -> dict[str, str]:
    """The variables to set so that threads wait for each other as suits this machine; none where somebody has decided.

    PyTorch's threads (GNU OpenMP) wait by spinning, for milliseconds. Where they have processors of their own that is
    the fastest way; where others want to run as well, or a quota is used up by it, they had better sleep soon. Measured
    on two cores: on an idle machine sleeping soon costs a step 4 to 8 %, beside four busy processes spinning long costs
    70 to 140 %.
    """
    if any(name in environ for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")) or not is_crowded(system):
        return {}
    return {"GOMP_SPINCOUNT": _SOON}


def is_crowded(system: Path = Path("/")) -> bool:
    """Whether a quota limits this process, or more wants to run than there are processors: now, or for a minute."""
    if processor_quota(system) is not None:
        return True
    try:
        minute, _, _, tasks, _ = (system / "proc/loadavg").read_text().split()
        return max(float(minute), int(tasks.partition("/")[0])) > (os.cpu_count() or 1)
    except (OSError, ValueError):
        return False


def throttled_microseconds(system: Path = Path("/")) -> int | None:
    """How long this process' control groups have been held back by their quotas so far; None where nobody counts."""
    found = [time for folder in _groups(system) if (time := _throttled(folder)) is not None]
    return max(found, default=None)


def _groups(system: Path) -> Iterator[Path]:
    """The folders of this process' groups that may bound its processor time, from its own up to the root."""
    try:
        lines = (system / _GROUPS_OF_PROCESS).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = system / _CONTROLLERS
        mounts = (base / controllers, base / "cpu") if controllers else (base, base / "unified")
        # Within a container the path may be the host's, of which only the root is mounted.
        own = PurePosixPath(path.lstrip("/"))
        for mount in dict.fromkeys(mounts):
            yield from (mount / part for part in (own, *own.parents))


def _quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _throttled(folder: Path) -> int | None:
    try:
        counted = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if "throttled_usec" in counted:
        return int(counted["throttled_usec"])
    return int(counted["throttled_time"]) // 1000 if "throttled_time" in counted else None
