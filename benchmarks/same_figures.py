"""Does a smoke run still give the same figures as at an earlier revision? `python benchmarks/same_figures.py REV`.

The suites of both revisions run one after the other on this machine. Every value that no clock decides is compared
to the last digit, those of version 1 under the names of today. Ends with 1 where one differs or is missing. Two report
folders that are there are compared with `--reports BASE CANDIDATE`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.comparison.revisions import commit_of, files_of, own_packages_first
from harness.records.metrics import CHECK, CLASS, MACHINE_FIGURES, METRICS, MODE, NUMERICS, PART, STEPS, WINDOW
from harness.records.record import Record, read_records

# What a clock, the machine's load or the memory of a whole process decides.
_TIMED_UNITS = {"ms", "s", "h", "min", "1/s", "MB/s"}
_TIMED = {
    "peak_rss_mib",
    "throttled",
    "disk_seeking_share",
    "disk_moving_share",
    "epoch_speed_up_ssd_over_hdd",
    "epoch_time_ratio",
    "documented_run_minutes",
    *MACHINE_FIGURES,
}
Key = tuple[object, ...]


def is_timed(record: Record) -> bool:
    """Whether a clock decides its value, or whether there is one."""
    metric = METRICS.get(record.metric)
    return metric is not None and (metric.unit in _TIMED_UNITS or record.metric in _TIMED)


def figures(records: Sequence[Record]) -> dict[Key, float]:
    """The values by suite, reference, series, status, n, seed, batch and what else tells two apart."""
    found: dict[Key, float] = {}
    for r in records:
        if r.value is None or r.metric not in METRICS or is_timed(r):
            continue
        apart = tuple(r.protocol.get(key) for key in (CHECK, CLASS, MODE, NUMERICS, PART, STEPS, WINDOW))
        key = (r.suite, r.reference, r.series, r.status, r.n, r.seed, r.batch_size, *apart)
        while key in found:  # the same check twice
            key = (*key, "again")
        found[key] = r.value
    return found


def run(revision: str, out: Path, options: Sequence[str]) -> list[Record]:
    """The records of a smoke run of this revision's own suites."""
    with files_of(commit_of(revision)) as tree:
        command = [sys.executable, "-m", "pytest", "suites", "-q", "--report-dir", str(out), *options]
        old = [] if (tree / "harness" / "suite").is_dir() else ["-p", "harness.pytest_plugin"]
        subprocess.run([*command, *old], cwd=tree, env=own_packages_first(tree), check=False)
    return read_records(out / "records.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?")
    parser.add_argument("--candidate", default="HEAD")
    parser.add_argument("--reports", nargs=2, type=Path, metavar=("BASE", "CANDIDATE"))
    parser.add_argument("--references", default="")
    asked = parser.parse_args()
    if (asked.revision is None) == (asked.reports is None):
        parser.error("name a revision, or two report folders with --reports")
    options = ["--references", asked.references] if asked.references else []
    if asked.reports:
        sides = [read_records(folder / "records.jsonl") for folder in asked.reports]
    else:
        with tempfile.TemporaryDirectory() as folder:
            revisions = (asked.revision, asked.candidate)
            sides = [run(rev, Path(folder) / f"side{number}", options) for number, rev in enumerate(revisions)]
    base, candidate = map(figures, sides)
    differing = [key for key in base if key in candidate and base[key] != candidate[key]]
    missing = [key for key in base if key not in candidate]
    for key in differing:
        print(f"differs: {key}: {base[key]!r}, now {candidate[key]!r}")
    for key in missing:
        print(f"missing: {key}: {base[key]!r}")
    new = len(candidate.keys() - base.keys())
    same = len(base) - len(differing) - len(missing)
    print(
        f"{same} of {len(base)} figures are the same to the last digit, {len(differing)} differ, {len(missing)} are "
        f"missing, {new} are new"
    )
    return 1 if differing or missing or not base else 0


if __name__ == "__main__":
    sys.exit(main())
