"""Two git revisions measured side by side: each in a folder of its own, seed by seed in turn."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.comparison.baseline import read_record_set
from harness.files.git import run_git, without_gits_own
from harness.files.writing import moved_aside, write_text
from harness.records.progress import report_progress
from harness.records.record import Record
from harness.records.report_folder import RECORDS

_log = logging.getLogger(__name__)

OTHER_SEEDS = 1000  # how far the candidate's seeds are from the base's, where these come one after the other

_OLD_PLUGIN = "harness.pytest_plugin"
_SUITES = ("test_quality.py", "test_modes.py")


# Of both sides' records so far: the references that go on.
GoesOn = Callable[[list[Record], list[Record]], Sequence[str]]


@dataclass(frozen=True)
class Measurement:
    """What to run on both revisions: of some references, so many seeds a side at most.

    Attributes:
        options: what `pytest suites/` is told, to check references.
        apart: how far the candidate's seeds are from the base's; 0 for the same ones.
    """

    seeds: int
    first_seed: int
    references: Sequence[str]
    options: Callable[[Sequence[str]], tuple[str, ...]]
    apart: int = 0


def commit_of(revision: str) -> str:
    """The full commit that a revision names.

    Raises:
        ValueError: this is no git repository, or it has no such revision.
    """
    found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode:
        why = " ".join(found.stderr.split()) or "no such revision, and no folder or file of records"
        raise ValueError(f"{revision!r} can't be compared: {why}")
    return found.stdout.strip()


@contextlib.contextmanager
def trees_of(base: str, candidate: str, *, dirty: bool = False) -> Iterator[dict[str, Path]]:
    """A folder for each side, by its name, with the files of its revision; gone afterwards.

    With `dirty` the candidate, which must be what is checked out, has what no commit has.

    Raises:
        ValueError: something is no revision, or can't be read.
    """
    commits = {"base": commit_of(base), "candidate": commit_of(candidate)}
    if dirty and commits["candidate"] != commit_of("HEAD"):
        raise ValueError(f"--dirty takes what isn't committed on top of HEAD, and the candidate is {candidate}")
    with contextlib.ExitStack() as stack:
        trees = {"base": stack.enter_context(files_of(commits["base"]))}
        there = files_here(commits["candidate"]) if dirty else files_of(commits["candidate"])
        yield trees | {"candidate": stack.enter_context(there)}


def measure_revisions(
    trees: Mapping[str, Path], what: Measurement, out: Path, left: GoesOn | None = None
) -> tuple[list[Record], list[Record]]:
    """Run the quality and mode suites on both sides' trees, interleaved: seed by seed, first the base; or on one.

    The records of each side are kept below `out`. `left` is handed both sides' records so far, and says which
    references go on; without it all do, to the last seed.

    Raises:
        ValueError: a side whose suites end without records.
    """
    records: dict[str, list[Record]] = {name: [] for name in trees}
    for name in trees:
        moved_aside(out / name)
    references = what.references
    for number in range(what.seeds):
        for side, (name, tree) in enumerate(trees.items()):
            seed = what.first_seed + number + side * what.apart
            detail = f"seed {seed}: {name} ({tree.name}), {', '.join(references)}"
            report_progress(_log, "measuring", number * len(trees) + side, what.seeds * len(trees), detail=detail)
            records[name] += _run(tree, seed, what.options(references), out / f"{name}-seed{seed}")
            lines = "".join(record.to_line() + "\n" for record in records[name])
            write_text(out / name / RECORDS, lines)
        references = references if left is None else left(records["base"], records["candidate"])
        if not references:
            break
    return records.get("base", []), records["candidate"]


def _run(tree: Path, seed: int, options: Sequence[str], report: Path) -> list[Record]:
    report = report.resolve()
    command = [
        sys.executable,
        "-m",
        *_suites(tree),
        "-q",
        "--seeds",
        "1",
        "--first-seed",
        str(seed),
        "--report-dir",
        str(report),
        *options,
    ]
    ended = subprocess.run(command, cwd=tree, env=own_packages_first(tree), capture_output=True, text=True, check=False)
    # 1: a check failed, which its records say.
    if ended.returncode not in (0, 1) or not (report / RECORDS).is_file():
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        raise ValueError(
            f"the suites of {tree.name} ended with {ended.returncode}: {said[-1] if said else 'no output'}"
        )
    return read_record_set(report)


def _suites(tree: Path) -> list[str]:
    """The command that runs the suites of quality and modes: the tree's own, else those that are installed."""
    own = [str(suite) for suite in (Path("suites") / name for name in _SUITES) if (tree / suite).is_file()]
    if own and (tree / "harness").is_dir():
        return ["pytest", *_plugin(tree), *own]
    return ["harness.cli", "suites", *_SUITES]


def _plugin(tree: Path) -> list[str]:
    """What registers the plugin of a tree of before 0.2, whose suites don't, unless an installed one of then does."""
    registered = any(point.value == _OLD_PLUGIN for point in importlib.metadata.entry_points(group="pytest11"))
    old = not (tree / "harness" / "suite").is_dir()
    return ["-p", _OLD_PLUGIN] if old and not registered else []


def own_packages_first(tree: Path) -> dict[str, str]:
    """The environment in which Python finds a source tree's packages before those that are installed."""
    return without_gits_own() | {"PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")])}


@contextlib.contextmanager
def files_of(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, gone afterwards.

    They are written by way of an index of their own: the user's repository, its index, its list of worktrees and its
    hooks see nothing of it.
    """
    with tempfile.TemporaryDirectory(prefix="gan-harness-") as folder:
        tree = Path(folder) / commit[:10]
        tree.mkdir()
        repository = _git("rev-parse", "--absolute-git-dir").stdout.strip()
        there = (f"--git-dir={repository}", f"--work-tree={tree}")
        for command in (("read-tree", commit), ("checkout-index", "--all")):
            done = _git(*there, *command, cwd=tree, GIT_INDEX_FILE=str(Path(folder) / "index"))
            if done.returncode:
                raise ValueError(f"{commit[:10]} can't be read: {' '.join(done.stderr.split())}")
        yield tree


@contextlib.contextmanager
def files_here(commit: str) -> Iterator[Path]:
    """A folder with the files of the working tree, committed or not, but for what git ignores; gone afterwards."""
    top = Path(_git("rev-parse", "--show-toplevel").stdout.strip())
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=top).stdout
    with tempfile.TemporaryDirectory(prefix="gan-harness-") as folder:
        tree = Path(folder) / f"{commit[:10]}-dirty"
        for name in filter(None, listed.split("\0")):
            source, target = top / name, tree / name
            if source.is_file():  # what was deleted is listed, too
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        yield tree


def _git(*arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    try:
        return run_git(*arguments, cwd=cwd, **more)
    except FileNotFoundError:
        raise ValueError("comparing revisions needs git, and there is none") from None
