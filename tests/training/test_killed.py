"""Killed at any moment, also before anything has begun; and never two at a time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.files.writing import held
from harness.training import RunConfig, train
from harness.training.run_folder import RunFolder, read_rows
from tests.processes import Life, call

STEPS = 40
TRAIN = (
    "train",
    "toy-grid",
    "--steps",
    STEPS,
    "--reference-module",
    "tests.toys",
    "--batch-size",
    8,
    "--threads",
    1,
    "--no-tensorboard",
    "--no-pictures",
    "--trace",
    "--checkpoint-every",
    7,
    "--log-every",
    0,
)
ROOT = Path(__file__).parents[2]


def arguments(*more: object) -> list[str]:
    return [str(one) for one in (*TRAIN, *more)]


def bits(run: Path) -> list[object]:
    """The digests of the whole state after each step."""
    rows = list(read_rows(run / "trace.jsonl"))
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["step"] for row in read_rows(run / "metrics.jsonl")] == list(range(1, STEPS + 1))
    return [row["digests"] for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    run = tmp_path_factory.mktemp("whole") / "run"
    done = call(arguments("--out", run), ROOT)
    assert done.returncode == 0, done.stderr
    return bits(run)


@pytest.mark.parametrize("tenth", range(10))
def test_killed_in_the_first_two_seconds_and_resumed(tenth: int, whole: list[object], tmp_path: Path) -> None:
    run = tmp_path / "run"
    life = Life(arguments("--out", run), ROOT)
    time.sleep(0.2 * tenth)
    life.kill()
    life.wait(60)
    done = call(arguments("--out", run, "--auto-resume"), ROOT)
    assert done.returncode == 0, done.stderr
    assert bits(run) == whole


LEFT = [(), (".run.json.abcd.part",), (".clearing.partial", "metrics.jsonl", "checkpoints/step-00000007/state.json")]


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("how", [(), ("--resume",), ("--auto-resume",)])
def test_what_a_kill_leaves_before_anything_has_begun(
    how: tuple[str, ...], left: tuple[str, ...], whole: list[object], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for name in left:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{")
    done = call(arguments("--out", run, *how), ROOT)
    if how == ("--resume",) and not left:
        assert done.returncode == 2, "a mistyped path is noticed"
        assert f"{run} isn't a run's folder: it has no run.json; --auto-resume starts where" in done.stderr
        assert not run.exists()
        return
    assert done.returncode == 0, done.stderr
    assert bits(run) == whole
    said = "nothing had begun here: starting with the first step"
    assert (said in (run / "log.txt").read_text()) == bool(how)


def test_a_folder_with_something_else_has_begun(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("all of it")
    for how in ("--resume", "--auto-resume", "--overwrite"):
        done = call(arguments("--out", tmp_path / "run", how), ROOT)
        assert done.returncode == 2
    assert (tmp_path / "run" / "thesis.tex").read_text() == "all of it"


def test_deleting_an_earlier_run_is_all_or_nothing(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it deletes, `--overwrite` leaves no half of a run to be resumed."""
    train(toy_config(), tmp_path / "run")

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.training.run_folder.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path / "run").start()
    assert RunFolder(tmp_path / "run").nothing_has_begun()
    monkeypatch.undo()
    again = train(toy_config(), tmp_path / "run", resume=True)
    assert again.steps == 8


def test_one_writer_at_a_time(toy_config: Callable[..., RunConfig], tmp_path: Path) -> None:
    """Two that resumed one run left 226 rows for 385 steps."""
    run = tmp_path / "run"
    train(toy_config(steps=4), run)
    rows = (run / "metrics.jsonl").read_text()
    with held(run):
        done = call(arguments("--out", run, "--resume"), ROOT)
        assert done.returncode == 2
        assert f"{run} is being written by process " in done.stderr
        with pytest.raises(ValueError, match="is being written by process"):
            train(toy_config(steps=8), run, resume=True)
        assert (run / "metrics.jsonl").read_text() == rows
    assert train(toy_config(steps=8), run, resume=True).steps == 8


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    asked = (
        "import sys, time\nfrom pathlib import Path\nfrom harness.files.writing import held\n"
        "with held(Path(sys.argv[1])):\n  Path(sys.argv[2]).touch()\n  time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", asked, str(tmp_path / "run"), str(ready)], cwd=ROOT)
    while not ready.exists():
        time.sleep(0.05)
    with pytest.raises(ValueError, match=f"run is being written by process {process.pid} on "), held(tmp_path / "run"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(tmp_path / "run"):
        pass


def test_a_step_that_fails_loses_no_row_before_it(toy_config: Callable[..., RunConfig], tmp_path: Path) -> None:
    import tests.toys

    original = tests.toys.Toy.step
    count = 0

    def failing(*given: object) -> object:
        nonlocal count
        count += 1
        if count == 6:
            raise RuntimeError("Expected more than 1 value per channel when training")
        return original(*given)  # type: ignore[arg-type]

    tests.toys.Toy.step = failing  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(RuntimeError, match="more than 1 value"):
            train(toy_config(log_every=0), tmp_path / "run")
    finally:
        tests.toys.Toy.step = original  # type: ignore[method-assign]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]
