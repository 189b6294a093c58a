"""What is decided before a run begins: data, packs, windows, threads; and what a resumed run goes on with."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data import order
from harness.data.packing import pack_of
from harness.training import RunConfig, train
from harness.training.run_folder import RunFolder, read_rows
from harness.training.state import TrainingState
from tests.data.samples import packed, write_pictures
from tests.processes import Life, call, in_a_process_of_its_own
from tests.training.test_loop import interrupted

ROOT = Path(__file__).parents[2]

SMALL_FACES = "idl-pgan-celebahq512@resolution=16,width=16,phase_steps=100"  # 4×4 pixels of each all along


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with three blocks of small pictures and the pack beside them."""
    root = tmp_path_factory.mktemp("faces")
    folder = write_pictures(root / "celeba_hq", 600, 16, 16)
    packed(folder, pack_of(folder, 16), 16)
    packed(folder, root / "elsewhere.safetensors", 16)
    return root


def on_faces(root: Path, **changes: Any) -> RunConfig:
    """Epochs of four steps, of which the last is smaller or left out."""
    given: dict[str, Any] = {
        "seed": 1,
        "batch_size": 140,
        "steps": 7,
        "data_root": str(root),
        "tensorboard": False,
        "pictures": False,
        "sample_every": 0,
        "checkpoint_every": 3,
        "threads": 1,
        "trace": True,
        "workers": 0,
    }
    return RunConfig(SMALL_FACES, **(given | changes))


def trace_of(config: RunConfig, out: Path, **how: Any) -> list[dict[str, Any]]:
    train(config, out, **how)
    return list(read_rows(out / "trace.jsonl"))


def log_of(out: Path) -> str:
    return (out / "log.txt").read_text()


@pytest.mark.parametrize("window", [0, 256, 300])
def test_packs_and_workers_change_no_bit(window: int, faces: Path, tmp_path: Path) -> None:
    first = trace_of(on_faces(faces, pack="never", shuffle_window=window), tmp_path / "first")
    assert len(first) == 7
    assert "reading the pack" not in log_of(tmp_path / "first")
    ways: list[dict[str, Any]] = [{"pack": "auto"}, {"pack": "auto", "workers": 2}]
    if window != 300:
        ways += [
            {"pack": str(faces / "elsewhere.safetensors"), "workers": 2, "prefetch": 5},
            {"pack": "never", "workers": 2},
            {"pack": "never", "workers": 1, "prefetch": 1, "persistent_workers": False, "skip_damaged": True},
        ]
    for number, way in enumerate(ways):
        out = tmp_path / str(number)
        assert trace_of(on_faces(faces, shuffle_window=window, **way), out) == first, way
        assert ("reading the pack" in log_of(out)) == (way["pack"] != "never")


def test_a_window_is_another_order(faces: Path, tmp_path: Path) -> None:
    """The saboteur of the tests of windows: they would pass if a window were no matter."""
    ends = [
        trace_of(on_faces(faces, shuffle_window=window, steps=1), tmp_path / str(window))[-1]["digests"]
        for window in (0, 256, 300)
    ]
    networks = [{key: value for key, value in end.items() if key.startswith("network/")} for end in ends]
    assert networks[0] != networks[1]
    assert networks[1] != networks[2]


@pytest.mark.parametrize(("at", "window"), [(1, 256), (3, 256), (4, 256), (5, 300), (6, 0)])
def test_resuming_with_another_pack_setting_gives_the_same_bits(
    at: int, window: int, faces: Path, tmp_path: Path
) -> None:
    """Stopped in the middle of a window or at an epoch's end, and gone on with in the other format."""
    whole = trace_of(on_faces(faces, shuffle_window=window), tmp_path / "whole")
    for name, before, after in (("to", "never", "auto"), ("from", str(faces / "elsewhere.safetensors"), "never")):
        interrupted(on_faces(faces, shuffle_window=window, pack=before), tmp_path / name, at)
        config = on_faces(faces, shuffle_window=window, pack=after, workers=2)
        assert trace_of(config, tmp_path / name, resume=True) == whole


def test_resuming_with_another_window_or_other_pictures_is_refused(faces: Path, tmp_path: Path) -> None:
    train(on_faces(faces, shuffle_window=256, steps=1), tmp_path / "run")
    with pytest.raises(ValueError, match="shuffle_window: the run has 256, asked was 512"):
        train(on_faces(faces, shuffle_window=512), tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="skip_damaged: the run has False, asked was True"):
        train(on_faces(faces, shuffle_window=256, skip_damaged=True), tmp_path / "run", resume=True)


def test_a_decided_window_is_written_down_and_said(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_faces(faces).shuffle_window is None
    monkeypatch.setattr(order, "_WINDOW_BYTES", 256 * 768 + 1)
    monkeypatch.setattr(order, "memory_limit", lambda: 600 * 768 * 2 - 2)
    train(on_faces(faces, steps=1), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["shuffle_window"] == 256
    assert "all samples don't fit into half of the memory: shuffling 256 at a time" in log_of(tmp_path / "run")
    monkeypatch.setattr(order, "memory_limit", lambda: 600 * 768 * 2)
    train(on_faces(faces, steps=1), tmp_path / "larger")
    assert json.loads((tmp_path / "larger" / "run.json").read_text())["config"]["shuffle_window"] == 0


NEW_KEYS = ("prefetch", "persistent_workers", "pin_memory", "pack", "skip_damaged", "shuffle_window")


def without_new_keys(out: Path) -> None:
    content = json.loads((out / "run.json").read_text())
    for key in NEW_KEYS:
        del content["config"][key]
    (out / "run.json").write_text(json.dumps(content))


def test_a_run_that_began_before_there_were_packs_can_be_resumed(faces: Path, tmp_path: Path) -> None:
    whole = trace_of(on_faces(faces, pack="never"), tmp_path / "whole")
    interrupted(on_faces(faces, pack="never"), tmp_path / "run", 5)
    without_new_keys(tmp_path / "run")
    assert trace_of(on_faces(faces), tmp_path / "run", resume=True) == whole


def test_a_run_on_large_data_that_began_before_there_were_windows_can_be_resumed(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `train --resume` does it: with the settings that the run's own file has."""
    whole = trace_of(on_faces(faces), tmp_path / "whole")
    interrupted(on_faces(faces), tmp_path / "run", 5)
    without_new_keys(tmp_path / "run")
    monkeypatch.setattr(order, "memory_limit", lambda: 1)
    config, _ = RunFolder(tmp_path / "run").read_run()
    assert trace_of(config, tmp_path / "run", resume=True) == whole


def test_killed_and_resumed_in_windows_equals_one_never_killed(faces: Path, tmp_path: Path) -> None:
    """Real SIGKILLs, between and in windows, with the pack and with the pictures."""
    arguments: list[str | Path] = [
        "train",
        SMALL_FACES,
        "--steps",
        "12",
        "--batch-size",
        "140",
        "--seed",
        "1",
        "--trace",
        "--shuffle-window",
        "256",
        "--data-root",
        faces,
        "--checkpoint-every",
        "1",
        "--sample-every",
        "0",
        "--no-tensorboard",
        "--no-pictures",
        "--threads",
        "1",
    ]
    whole = trace_of(on_faces(faces, shuffle_window=256, steps=12, pack="never"), tmp_path / "whole")
    out = tmp_path / "run"
    for rows, way in ((2, ("--pack", "auto")), (6, ("--pack", "never", "--workers", "0", "--resume"))):
        life = Life([*arguments, *way, "--out", out], ROOT)
        end = time.monotonic() + 300
        while not (out / "trace.jsonl").exists() or (out / "trace.jsonl").read_text().count("\n") < rows:
            assert time.monotonic() < end
            time.sleep(0.002)
        life.kill()
        assert life.wait(60) == -signal.SIGKILL, "the run ended before it was killed: it must be longer"
    done = call([*arguments, "--resume", "--out", out], ROOT)
    assert done.returncode == 0, done.stderr
    assert list(read_rows(out / "trace.jsonl")) == whole


@in_a_process_of_its_own
def test_a_loader_process_that_is_killed_while_this_one_trains_gets_one_line(faces: Path, tmp_path: Path) -> None:
    def kill(step: int, _: TrainingState) -> None:
        if step == 1:
            multiprocessing.active_children()[0].kill()
            time.sleep(1)

    config = on_faces(faces, pack="never", workers=2, steps=4)
    with pytest.raises(ValueError, match="a loader process ended"):
        train(config, tmp_path / "run", on_step=kill)


def test_a_stale_pack_is_said_in_the_log_and_the_pictures_are_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = write_pictures(root / "celeba_hq", 20, 16, 16)
    first = trace_of(on_faces(root, batch_size=8, steps=2), tmp_path / "first")
    packed(write_pictures(tmp_path / "others", 20, 12, 12), pack_of(folder, 16), 16)
    assert trace_of(on_faces(root, batch_size=8, steps=2), tmp_path / "stale") == first
    assert f"the pack {pack_of(folder, 16)} isn't used" in log_of(tmp_path / "stale")
    with pytest.raises(ValueError, match="doesn't hold what"):
        train(on_faces(root, batch_size=8, steps=2, pack=str(pack_of(folder, 16))), tmp_path / "asked")
    assert not (tmp_path / "asked").exists()


def run_json(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_the_number_of_threads_is_resolved_into_the_runs_file(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(toy_config(threads=None), tmp_path / "small")
    assert run_json(tmp_path / "small")["config"]["threads"] == run.threads == 1, "a toy's step is a small one"
    monkeypatch.setattr("harness.training.resolve.step_threads", lambda *_: 2)
    run = train(toy_config(threads=None), tmp_path / "larger")
    found = run_json(tmp_path / "larger")
    assert found["config"]["threads"] == found["environment"]["threads"] == run.threads == 2
    assert "2 threads" in log_of(tmp_path / "larger")


def test_a_run_goes_on_with_the_threads_that_it_began_with(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(threads=2, steps=4), out)
    run = train(toy_config(threads=None, steps=8), out, resume=True)
    assert run.threads == run_json(out)["config"]["threads"] == 2, "whatever this machine would take"
    with pytest.raises(ValueError, match=r"can't be resumed with other settings: threads: the run has 2, asked was 1"):
        train(toy_config(threads=1, steps=9), out, resume=True)


def test_a_run_from_before_threads_were_resolved_goes_on_with_those_that_its_machine_had(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(threads=2, steps=4), out)
    earlier = run_json(out)
    earlier["config"]["threads"] = None
    (out / "run.json").write_text(json.dumps(earlier))
    assert train(toy_config(threads=None, steps=8), out, resume=True).threads == 2


def test_going_on_under_another_version_or_precision_is_said(
    toy_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    train(toy_config(steps=4), out)
    earlier = run_json(out)
    earlier["environment"]["float32 products"] = "tf32"
    earlier["environment"]["versions"]["torch"] = "2.9.0"
    (out / "run.json").write_text(json.dumps(earlier))
    train(toy_config(steps=8), out, resume=True)
    said = next(line for line in log_of(out).splitlines() if "bits may be others" in line)
    assert "float32 products tf32, now ieee" in said
    assert "2.9.0" in said
    log = out / "log.txt"
    log.write_text("")
    train(toy_config(steps=9), out, resume=True)
    assert "bits may be others" not in log.read_text()


def test_a_gpu_that_cannot_be_used_is_said_and_not_passed_over(
    toy_config: Callable[..., RunConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.training.resolve.unusable_gpu", lambda: "the driver is older than needed")
    train(toy_config(device="auto", steps=1), tmp_path / "auto")
    assert "computing on the CPU: the driver is older than needed" in log_of(tmp_path / "auto")
    train(toy_config(device="cpu", steps=1), tmp_path / "asked")
    assert "computing on the CPU" not in log_of(tmp_path / "asked")
