"""Two revisions by their bits: what computes the same states, samples and figures is kept, without any training."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness.checks.determinism import first_difference
from harness.comparison.first_steps import Computed, FirstSteps
from harness.comparison.revisions import own_packages_first
from harness.comparison.verdicts import OPEN
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)
_LOOK_EVERY = 0.2  # s
_ASKED_FOR = Path("harness", "comparison", "first_steps.py")

BitVerdict = Literal[
    "kept (same bits)", "other bits", "samples drawn otherwise", "measured otherwise", "not comparable"
]
SAME_BITS: BitVerdict = "kept (same bits)"


@dataclass(frozen=True)
class RevisionBits:
    """One reference of both revisions: what its bits say, and where they differ first.

    *other bits*: the training's states differ, and seeds must tell what that means. *samples drawn otherwise*: the
    states are the same, what is drawn from them isn't. *measured otherwise*: the samples are the same, and their
    figures aren't: evaluation has changed, not the GAN.
    """

    reference: str
    verdict: BitVerdict
    reason: str
    fails_now: bool = False

    @property
    def is_open(self) -> bool:
        """Whether trainings must tell what it means."""
        return self.verdict in ("other bits", "samples drawn otherwise")


def without_first_steps(trees: Mapping[str, Path]) -> list[str]:
    """The sides whose own harness is of before bits were compared."""
    return [
        name
        for name, tree in trees.items()
        if (tree / "harness" / "__init__.py").is_file() and not (tree / _ASKED_FOR).is_file()
    ]


def compute_on_both(trees: Mapping[str, Path], asked: FirstSteps) -> list[list[Computed]]:
    """What the references of two source trees, by the name of their side, compute: side by side, in a process each.

    Raises:
        ValueError: a tree whose first steps can't be had, with what it says.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gan-harness-")))
        begun = {name: _Computing(tree, asked, folder / name) for name, tree in trees.items()}
        for one in begun.values():
            stack.callback(one.end)
        while any(one.works() for one in begun.values()):
            told = [one.lines() for one in begun.values()]
            if all(told):
                done, count = min(map(len, told)) - 1, max(json.loads(lines[0])["references"] for lines in told)
                report_progress(_log, "first steps", done, count, detail="the bits of both revisions")
            time.sleep(_LOOK_EVERY)
        for name, one in begun.items():
            if one.process.returncode:
                why = one.said() or f"it ended with {one.process.returncode}"
                raise ValueError(f"the {name}'s first steps can't be had: {why}")
        return [[Computed(**json.loads(line)) for line in one.lines()[1:]] for one in begun.values()]


class _Computing:
    """A process that computes a tree's first steps, its answers in files."""

    def __init__(self, tree: Path, asked: FirstSteps, folder: Path) -> None:
        folder.mkdir()
        self._answers, self._errors = folder / "answers", folder / "errors"
        with self._answers.open("w") as answers, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.comparison.first_steps", json.dumps(asdict(asked))],
                cwd=tree,
                env=own_packages_first(tree) | {"OMP_NUM_THREADS": "1"},
                stdout=answers,
                stderr=errors,
            )

    def works(self) -> bool:
        return self.process.poll() is None

    def lines(self) -> list[str]:
        """The answers that are complete."""
        text = self._answers.read_text(encoding="utf-8")
        return text[: text.rfind("\n") + 1].splitlines()

    def said(self) -> str:
        """The last line that it wrote about itself."""
        return next(reversed(self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()), "")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def compare_bits(base: Sequence[Computed], candidate: Sequence[Computed]) -> list[RevisionBits]:
    """Hold every reference of the base, and those that only the candidate has, against the other side's."""
    sides = [{found.reference: found for found in side} for side in (base, candidate)]
    return [_compare(spec, *(side.get(spec) for side in sides)) for spec in dict.fromkeys([*sides[0], *sides[1]])]


def bits_exit_code(comparisons: Iterable[RevisionBits]) -> int:
    """1 when something fails in the candidate alone, else 10 when what was computed can't be compared, else 0.

    What trainings must tell is left to their verdict.
    """
    settled = [comparison for comparison in comparisons if not comparison.is_open]
    if any(comparison.fails_now for comparison in settled):
        return 1
    return 0 if all(comparison.verdict == SAME_BITS for comparison in settled) else OPEN


def _compare(spec: str, one: Computed | None, other: Computed | None) -> RevisionBits:
    if one is None or other is None:
        return RevisionBits(spec, "not comparable", f"only the {'candidate' if one is None else 'base'} has it")
    if one.failed or other.failed:
        sides = [f"{side}: {found.failed}" for side, found in (("base", one), ("candidate", other)) if found.failed]
        return RevisionBits(spec, "not comparable", "; ".join(sides), fails_now=not one.failed)
    if one.batch_size != other.batch_size:
        return RevisionBits(spec, "other bits", f"steps of {one.batch_size} and {other.batch_size} samples")
    states, others = _states(one), _states(other)
    if difference := first_difference(states, others):
        return RevisionBits(spec, "other bits", difference)
    if (one.samples, one.not_drawn) != (other.samples, other.not_drawn):
        told = next((found.not_drawn for found in (other, one) if found.not_drawn), "")
        return RevisionBits(spec, "samples drawn otherwise", told or f"from the same state after step {len(states)}")
    if moved := _moved(one, other):
        return RevisionBits(spec, "measured otherwise", f"of the same samples: {moved}")
    return RevisionBits(spec, SAME_BITS, _what(one))


def _states(found: Computed) -> dict[int, dict[str, str]]:
    """Digests by step and name."""
    return {int(step): dict(digests) for step, digests in found.states.items()}


def _moved(one: Computed, other: Computed) -> str:
    """Which figures differ, the first in full."""
    if one.not_measured != other.not_measured:
        return f"{one.not_measured or 'measured'} and then {other.not_measured or 'measured'}"
    names = [name for name in {**one.figures, **other.figures} if not _equal(name, one.figures, other.figures)]
    if not names:
        return ""
    first = " and ".join(
        f"{found.figures[names[0]]:.6g}" if names[0] in found.figures else "none" for found in (one, other)
    )
    return f"{names[0]} {first}" + (f", and {len(names) - 1} more" if len(names) > 1 else "")


def _equal(name: str, one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    if name not in one or name not in other:
        return False
    return one[name] == other[name] or (math.isnan(one[name]) and math.isnan(other[name]))


def _what(found: Computed) -> str:
    """What was the same."""
    first = sum(int(step) <= min(found.continued, default=math.inf) for step in found.states)
    further = f", and after the checkpoints of steps {', '.join(map(str, found.continued))}" if found.continued else ""
    figures = f", {len(found.figures)} figures of them" if found.figures else ""
    drawn = "samples" if found.samples else "no samples"
    return f"the first {first} steps of {found.batch_size}{further}; {drawn}{figures}"
