"""Two revisions timed in turn: the verdicts on hand-made ratios, and real processes of real revisions."""

from __future__ import annotations

import io
import json
import logging
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.comparison.speed import (
    SpeedComparison,
    Timing,
    _server,
    judge_memory,
    judge_ratios,
    speed_comparison_table,
    speed_exit_code,
    time_revisions,
)
from harness.comparison.step_server import serve
from harness.comparison.verdicts import Verdict
from harness.memory.estimate import estimate
from reference import get
from tests.cli.test_commands import ROOT
from tests.logs import hearing

ALPHA = 0.05


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.0] * 20, "kept"),
        ([1.5] * 20, "worse"),
        ([0.5] * 20, "better"),
        ([1.05] * 20, "kept"),
        ([0.8, 1.3] * 10, "inconclusive"),
        ([1.5] * 2, "inconclusive"),
        ([1.0] * 5, "inconclusive"),
        ([1.5] * 6, "worse"),
    ],
)
def test_the_interval_decides_the_verdict(ratios: list[float], verdict: Verdict) -> None:
    assert judge_ratios(ratios, 0.1, ALPHA)[-1] == verdict


def test_the_median_lies_within_its_interval() -> None:
    ratio, low, high, _ = judge_ratios([1.0, 1.2, 0.9, 1.1, 1.3, 0.8, 1.05, 5.0, 1.0, 1.1], 0.1, ALPHA)
    assert ratio == pytest.approx(1.075)
    assert 0.8 <= low <= ratio <= high <= 5.0


SWAPPED = {"worse": "better", "better": "worse"}


@given(st.lists(st.sampled_from([2.0**k for k in range(-4, 5)]), min_size=1, max_size=30))
def test_swapping_the_sides_swaps_worse_and_better(ratios: list[float]) -> None:
    there, back = (judge_ratios(values, 0.1, ALPHA) for values in (ratios, [1 / ratio for ratio in ratios]))
    assert back[-1] == SWAPPED.get(there[-1], there[-1])
    assert (back[1], back[2]) == pytest.approx((1 / there[2], 1 / there[1]), nan_ok=True)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30), st.floats(0.01, 1))
def test_a_verdict_says_no_more_than_the_interval_does(ratios: list[float], margin: float) -> None:
    _, low, high, verdict = judge_ratios(ratios, margin, ALPHA)
    if verdict == "inconclusive":
        assert math.isnan(low) or math.isnan(high) or low <= 1 <= high
    else:
        assert {"worse": low > 1, "better": high < 1, "kept": high <= 1 + margin and low >= 1 / (1 + margin)}[verdict]


@pytest.mark.parametrize("margin", [0.001, 0.01, 0.1])
def test_noise_alone_seldom_raises_an_alarm(margin: float) -> None:
    def alarmed(seed: int) -> bool:
        ratios = np.exp(np.random.default_rng(seed).normal(0, 0.05, 20)).tolist()
        return judge_ratios(ratios, margin, ALPHA)[-1] in ("worse", "better")

    assert sum(alarmed(seed) for seed in range(300)) <= 0.08 * 300


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [
        (None, "not comparable"),
        ((1000, 1000), "kept"),
        ((1000, 1099), "kept"),
        ((1000, 1101), "worse"),
        ((1000, 910), "kept"),
        ((1000, 900), "better"),
        ((1, 2), "worse"),
    ],
)
def test_memory_is_judged_without_spread(memory: tuple[int, int] | None, verdict: Verdict) -> None:
    assert judge_memory(memory, 0.1) == verdict


def pace(
    verdict: Verdict = "kept",
    memory_verdict: Verdict = "kept",
    memory: tuple[int, int] | None = (2 * 2**20, 3 * 2**20),
) -> SpeedComparison:
    return SpeedComparison(
        "toy-grid", 64, (0.001, 0.002, 0.003), (0.004, 0.005, 0.006), 2.5, 2.0, 4.0, verdict, memory, memory_verdict, 2
    )


def test_the_table_shows_times_ratio_rounds_and_memory() -> None:
    table = speed_comparison_table([pace("worse"), pace(memory_verdict="not comparable", memory=None)])
    assert table.to_dict("records")[0] == {
        "reference": "toy-grid",
        "batch": 64,
        "base, ms a step": "2",
        "candidate, ms a step": "5",
        "candidate / base (interval)": "2.500 (2.000 to 4.000)",
        "rounds": "3, look 2",
        "time": "worse",
        "memory, estimated": "2.0 MiB → 3.0 MiB",
        "memory": "kept",
    }
    assert table["memory, estimated"].tolist()[1] == "–"
    assert speed_comparison_table([]).empty


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([pace()], 0),
        ([pace("better", "better")], 0),
        ([pace(), pace("worse")], 1),
        ([pace("kept", "worse")], 1),
        ([pace("inconclusive"), pace("kept", "worse")], 1),
        ([pace(), pace("inconclusive")], 10),
        ([pace("kept", "not comparable")], 10),
    ],
)
def test_the_exit_code_is_that_of_the_worst_verdict(found: Sequence[SpeedComparison], code: int) -> None:
    assert speed_exit_code(found) == code


def timing(rounds: int = 3) -> Timing:
    return Timing({"idl-gan-grid": 4}, rounds, "cpu", (), 0.1, ALPHA)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this one's history, which no other test touches, and a commit more that is slow and large."""
    folder = tmp_path_factory.mktemp("repository") / "clone"
    git(ROOT, "clone", "-q", "--shared", str(ROOT), str(folder))
    changed = folder / "reference" / "idl_gan_grid.py"
    once = "        return gan_step(players, batch, noise, LATENT)\n"
    several = "        kept = torch.empty(2**26)\n" + 9 * once.replace("return ", "") + once
    before = changed.read_text()
    assert before.count(once) == 1
    changed.write_text(before.replace(once, several))
    settings = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
    git(folder, *settings, "commit", "-qam", "slow and large")
    return folder


@pytest.mark.slow
def test_a_revision_against_itself_is_timed_in_pairs_and_leaves_no_worktree(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clone)
    before = git(clone, "worktree", "list")
    with hearing(logging.DEBUG) as said:
        (found,) = time_revisions("HEAD~1", "HEAD~1", timing())
    assert (found.reference, found.batch_size) == ("idl-gan-grid", 4)
    assert len(found.base) == len(found.candidate) == 3
    assert all(seconds > 0 for seconds in (*found.base, *found.candidate))
    assert (found.verdict, found.looks) == ("inconclusive", 1), "three rounds settle nothing"
    assert found.memory is not None
    assert found.memory[0] == found.memory[1] > 0
    assert found.memory_verdict == "kept"
    assert speed_exit_code([found]) == 10
    assert "idl-gan-grid, batch 4, look 1: rounds: 2 of 3" in said
    assert git(clone, "worktree", "list") == before


@pytest.mark.slow
def test_a_step_that_does_more_and_takes_more_is_worse_in_both(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    (found,) = time_revisions("HEAD~1", "HEAD", timing(rounds=6))
    assert (found.verdict, found.memory_verdict) == ("worse", "worse")
    assert found.looks == 2, "what seems slower is timed once more"
    assert found.low > 1
    assert speed_exit_code([found]) == 1


@pytest.mark.parametrize("older", [False, True])
def test_a_revision_that_can_not_be_timed_gets_one_line(
    older: bool, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one from before steps could be timed."""
    monkeypatch.chdir(clone)
    before = git(clone, "worktree", "list")
    revision = git(clone, "rev-list", "--max-parents=0", "HEAD").split()[0] if older else "no-such-branch"
    message = f"^{revision[:10]} can't time idl-gan-grid" if older else "^'no-such-branch' can't be compared"
    with pytest.raises(ValueError, match=message) as raised:
        time_revisions(revision, "HEAD", timing())
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)
    assert git(clone, "worktree", "list") == before


def served(asked: dict[str, object], lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.comparison.step_server", json.dumps(asked)],
        input=lines,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )


GRID: dict[str, object] = {"spec": "idl-gan-grid", "batch_size": 2, "device": "cpu", "modules": []}


@pytest.mark.slow
def test_a_pace_process_says_what_it_runs_and_answers_each_line_until_there_are_no_more() -> None:
    done = served(GRID, "1\n3\n")
    assert done.returncode == 0, done.stderr
    ready, *times = done.stdout.splitlines()
    assert json.loads(ready)["peak_allocated"] == estimate(get("idl-gan-grid"), 2).peak_allocated
    assert len(times) == 2
    assert all(float(seconds) > 0 for seconds in times)


def test_a_pace_process_that_can_not_begin_ends_with_one_line() -> None:
    done = served(GRID | {"spec": "no-such-gan"}, "1\n")
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("unknown reference 'no-such-gan'; there are:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "a batch size must be 1 or more, not 0"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"modules": ["no.module"]}, "the reference module 'no.module' can't be imported"),
        ({"spec": "idl-gan-grid@width=2"}, "idl-gan-grid"),
    ],
)
def test_what_a_pace_process_is_asked_for_is_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        serve(GRID | changes, io.StringIO())


def test_what_a_strangers_code_prints_is_no_answer_and_fills_no_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talkative.py").write_text(
        "import sys, dataclasses\n"
        "from reference import register\n"
        "from tests.toys import CARD, Toy\n"
        "print('loading')\n"
        "sys.stderr.write('a warning\\n' * 20_000)\n"
        "@register\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Talkative(Toy):\n"
        "    card = dataclasses.replace(CARD, name='toy-talkative')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = {"spec": "toy-talkative", "batch_size": 4, "device": "cpu", "modules": ["talkative"]}
    with _server(ROOT, asked) as server:
        assert server.seconds(1) > 0
