"""Is a run the same whoever does it, and whoever is killed? `python -m benchmarks.same_run --out FOLDER`.

A run of the suites is done in one process, and then in every other way: in two processes, on Ray, in seven shards that
are merged, and with processes that are killed (SIGKILL) again and again at random moments and go on with `--resume`:
the process that tells of all, Ray's workers, the processes below them. All that no clock decides is compared: which
records, in which order, with which values, and the tables. Each way says how long it took, beside one process alone;
nothing else should run meanwhile. Ends with 1 where anything differs. What follows `--` goes to pytest.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil

from benchmarks.same_figures import figures, is_timed
from harness.records.record import Record, read_records
from harness.reporting.tables import TABLES

_SHARDS = 7
_SHOWN = 20  # differences
_OF_ALL = ("scorecard", "left_out")  # tables that show timed records among others
_RETRIES = 1000  # what kills at random do more often than three times is no fault of a unit's


class Way:
    """One way to do the run, which lies in a folder of its own."""

    def __init__(self, folder: Path, base: Path, given: Sequence[str]) -> None:
        self.folder, self._base, self._given = folder, base, list(given)
        self.figures = self.tables = 0
        self.wrong: list[str] = []
        shutil.rmtree(folder, ignore_errors=True)

    def command(self, *options: str, report: Path | None = None) -> list[str]:
        asked = [sys.executable, "-m", "pytest", "suites", "-q", "-p", "no:cacheprovider"]
        return [*asked, "--report-dir", str(report or self.folder), *self._given, *options]

    def start(self, *options: str, report: Path | None = None) -> subprocess.Popen[bytes]:
        log = (report or self.folder).with_suffix(".txt").open("ab")
        return subprocess.Popen(self.command(*options, report=report), stdout=log, stderr=log)

    def run(self, *options: str, report: Path | None = None) -> None:
        """To its end.

        Raises:
            SystemExit: it didn't end well.
        """
        if code := self.start(*options, report=report).wait():
            raise SystemExit(f"{(report or self.folder).with_suffix('.txt')}: exit code {code}")

    def compare(self) -> None:
        """Hold a run that has ended against that of one process."""
        self.figures, self.tables, differ = differences(self._base, self.folder)
        places = self.told()
        if len(places) != len(set(places)):
            differ.append(f"{len(places) - len(set(places))} checks were done twice")
        self.wrong += differ

    def told(self) -> list[int]:
        """The places of the checks that have told something, as often as they did."""
        journals = (self.folder / "checks").glob("*.jsonl")
        lines = (line for path in journals for line in path.read_text(encoding="utf-8").splitlines(keepends=True))
        return [json.loads(line)["place"] for line in lines if line.endswith("\n")]


def in_shards(way: Way) -> str:
    parts = [way.folder.parent / f"shard-{number}" for number in range(1, _SHARDS + 1)]
    for number, part in enumerate(parts, 1):
        shutil.rmtree(part, ignore_errors=True)
        way.run("--jobs", "1", "--shard", f"{number}/{_SHARDS}", report=part)
    merge = [str(Path(sys.executable).with_name("gan-harness")), "merge", *map(str, parts), "--out", str(way.folder)]
    subprocess.run(merge, check=True, stdout=subprocess.DEVNULL)
    return ""


def whole(way: Way, options: Sequence[str]) -> str:
    way.run(*options)
    return ""


def killed(way: Way, options: Sequence[str], *, times: int, most: float, chance: random.Random) -> str:
    """Kill what tells of all, so often, each time after some seconds, and go on."""
    ended_first = 0
    for _ in range(times):
        process = way.start(*options, "--resume")
        try:
            if process.wait(chance.uniform(1, most)) == 0:
                ended_first += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            time.sleep(1)  # the others end with it
    way.run(*options, "--resume")
    return f"killed {times - ended_first} times; "


def killing(way: Way, options: Sequence[str], *, what: str, times: int, most: float, chance: random.Random) -> str:
    """Kill processes below the one that tells of all while it runs; as many runs, one after the other, as it takes."""
    done = runs = 0
    while done < times:
        if runs:
            way.compare()
            shutil.rmtree(way.folder)
        runs += 1
        process = way.start(*options, "--retries", str(_RETRIES))
        while process.poll() is None and done < times:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(1, most))
            found = _below(process.pid, what)
            if found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    chance.choice(found).kill()
                    done += 1
        if code := process.wait():
            raise SystemExit(f"{way.folder.with_suffix('.txt')}: exit code {code}")
    return f"{done} of them killed in {runs} runs; "


def _below(pid: int, what: str) -> list[psutil.Process]:
    """The processes of this kind, without what they have forked: a loader's process that dies fails its check."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if what in " ".join(process.cmdline()):
                    found[process.pid] = (process, process.ppid())
    return [process for process, parent in found.values() if parent not in found]


def differences(base: Path, other: Path) -> tuple[int, int, list[str]]:
    """How many figures and tables were compared, and a line for each difference."""
    before, now = (read_records(folder / "records.jsonl") for folder in (base, other))
    said = [
        f"record {n}: {a} and {b}" for n, (a, b) in enumerate(zip(_order(before), _order(now), strict=False)) if a != b
    ]
    if len(before) != len(now):
        said.append(f"{len(before)} records and {len(now)}")
    one, two = figures(before), figures(now)
    said += [f"{key}: {one.get(key)!r} and {two.get(key)!r}" for key in {**one, **two} if one.get(key) != two.get(key)]
    there, here = ({path.name for path in folder.glob("*.csv")} for folder in (base, other))
    untimed = [file for name in _untimed_tables(before) if (file := f"{name}.csv") in there & here]
    said += [f"{file} is made by one of them alone" for file in sorted(there ^ here)]
    said += [f"{file} differs" for file in untimed if (base / file).read_bytes() != (other / file).read_bytes()]
    return len(one), len(untimed), said


def _order(records: Sequence[Record]) -> list[tuple[object, ...]]:
    """What was recorded, in order; of what a clock decides not whether there was a value."""
    return [
        (r.suite, r.reference, r.series, r.n, r.seed, r.batch_size, *(() if is_timed(r) else (r.status, r.reason)))
        for r in records
    ]


def _untimed_tables(records: Sequence[Record]) -> list[str]:
    """The tables that show nothing which a clock decides."""
    timed = {r.suite for r in records if is_timed(r)}
    named = [t.name for t in TABLES if not timed & set(t.suites or (t.name,))]
    return [name for name in named if name not in _OF_ALL]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ways", default="two,ray,shards,killed,ray-driver,ray-worker,ray-child")
    parser.add_argument("--kills", type=int, default=20, help="of each kind; ten of what runs in two processes")
    parser.add_argument("--most", type=float, default=40.0, help="seconds between two kills at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("given", nargs="*")
    asked = parser.parse_args()
    chance, ray = random.Random(asked.seed), ("--engine", "ray", "--jobs", "2")
    several = partial(partial, times=asked.kills, most=asked.most, chance=chance)
    ways: dict[str, Callable[[Way], str]] = {
        "one": partial(whole, options=("--jobs", "1")),
        "two": partial(whole, options=("--jobs", "2")),
        "ray": partial(whole, options=ray),
        "ray-alone": partial(whole, options=("--engine", "ray", "--jobs", "1")),
        "shards": in_shards,
        "killed": partial(killed, options=("--jobs", "2"), times=10, most=asked.most, chance=chance),
        "ray-driver": several(killed, options=ray),
        "ray-worker": several(killing, options=ray, what="ray::do_unit"),
        "ray-child": several(killing, options=ray, what="--joins"),
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    seconds, wrong = 0.0, 0
    for name in ["one", *asked.ways.split(",")]:
        way, begun = Way(asked.out / name, asked.out / "one", asked.given), time.monotonic()
        said = ways[name](way)
        took = time.monotonic() - begun
        seconds = seconds or took
        way.compare()
        wrong += len(way.wrong)
        line = f"{name}: {took:.0f} s, {took / seconds:.2f} of one; {said}{way.figures} figures and {way.tables} tables"
        print(f"{line}, {len(way.wrong)} differences", *way.wrong[:_SHOWN], sep="\n  ", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
