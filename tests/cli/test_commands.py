"""The command line as a user meets it: real processes, real kills, one line for every mistake."""

from __future__ import annotations

import functools
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import harness.cli.__main__  # noqa: F401 - enters the commands
from harness.cli.app import app
from harness.cli.findings import findings
from harness.training.checkpoint import checkpoint_folders
from harness.training.run_folder import RunFolder, read_rows
from tests.processes import Life, call

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from harness.cli.__main__ import main; main()"]
TOY = ("toy-grid", "--reference-module", "tests.toys", "--no-tensorboard", "--no-pictures", "--threads", "1")


def run(
    *arguments: str | Path, code: int = 0, before: Callable[[], None] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """In a process of its own; with `before`, which acts in it first, in a fresh interpreter."""
    done = (
        call(arguments, cwd)
        if before is None
        else subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300, preexec_fn=before
        )
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("command", ["list", "doctor", "train", "sample", "tables"])
def complaint(*arguments: str | Path, before: Callable[[], None] | None = None) -> str:
    """The one line that a mistake gets."""
    done = run(*arguments, code=2, before=before)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("gan-harness: ")
    return lines[0]


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands])
def test_every_help_shows_an_example(command: str) -> None:
    assert "Example: gan-harness" in run(command, "--help").stdout


SYSTEMS = {
    "handson-dcgan-mnist",
    "handson-dcgan-celeba",
    "handson-dcgan-lsun",
    "mlp-gan-mnist",
    "style-transfer",
    "aniketmaurya-dcgan-celeba",
    "pytorch-dcgan-celeba",
    "idl-gan-mnist",
    "idl-gan-grid",
    "idl-wgan-gp-grid",
    "idl-wgan-gp-mnist",
    "idl-conv-wgan-gp-mnist",
    "idl-cond-wgan-gp-mnist",
    "idl-pgan-celebahq512",
    "idl-ex1-fc-stem-wgan-gp-mnist",
    "idl-ex2-cond-conv-wgan-gp-mnist",
    "idl-ex3-encoder-wgan-gp-mnist",
    "idl-ex4-inpainting-unet-mnist",
    "idl-ex5-inpainting-unet-latent-mnist",
    "idl-ex6-pix2pix",
}


def test_list_as_json_names_every_system_of_the_documents() -> None:
    cards = json.loads(run("list", "--json").stdout)
    specs = {card["spec"] for card in cards}
    assert {spec for spec in specs if "@" not in spec} == SYSTEMS
    assert {spec for spec in specs if "@" in spec} == {
        f"{name}@corrected"
        for name in SYSTEMS
        if (name.startswith("idl-") and "wgan-gp-mnist" in name) or "inpainting" in name
    }
    assert all(card["deviations"] and card["claims"] for card in cards)


def test_doctor_says_what_missing_things_mean() -> None:
    told = " ".join(run("doctor").stdout.split())
    assert "mnist" in told
    assert "stand-in" in told
    assert "torch-fidelity" in told


def test_train_sample_and_resume(tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = run("train", *TOY, "--steps", "6", "--seed", "1", "--out", out).stdout
    assert "toy-grid on 3×3 Gaussian grid (90000 samples), seed 1" in shown
    assert "loss_generator" in shown
    told = run("sample", out, "-n", "9", "--seed", "3").stdout
    assert "9 samples of toy-grid after step 6" in told
    assert np.load(out / "sample-seed3.npy").shape == (9, 2)
    with Image.open(out / "sample-seed3.png") as image:
        assert image.size[0] > 100
    run("train", *TOY, "--steps", "9", "--out", out, "--resume")
    assert [row["step"] for row in read_rows(out / "metrics.jsonl")] == list(range(1, 10))
    assert json.loads((out / "run.json").read_text())["config"]["seed"] == 1, "resuming takes the run's own seed"


def test_resuming_keeps_the_runs_own_data_and_length(mnist_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    common = ("train", "mlp-gan-mnist", "--out", out, "--no-tensorboard", "--no-pictures")
    run(*common, "--steps", "3", "--batch-size", "10", "--data-root", mnist_root)
    run(*common, "--resume", "--steps", "6")
    assert json.loads((out / "run.json").read_text())["config"]["steps"] == 6
    assert "from step 6 on" in run(*common, "--resume").stdout, "a plain resume goes on to the newest goal"


def test_mnist_trains_with_the_documents_log(mnist_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shown = run(
        "train",
        "mlp-gan-mnist",
        "--epochs",
        "1",
        "--batch-size",
        "10",
        "--log-every",
        "2",
        "--data-root",
        mnist_root,
        "--out",
        out,
        "--no-tensorboard",
    ).stdout
    lines = [line for line in shown.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    for quantity in ("loss_discriminator", "loss_generator", "D(x)", "D(G(z))"):
        assert quantity in lines[0]


def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, "train", *TOY, "--steps", "1000000", "--batch-size", "8", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: (out / "metrics.jsonl").exists() and (out / "metrics.jsonl").stat().st_size > 0)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "--resume goes on from there" in shown
    rows = list(read_rows(out / "metrics.jsonl"))
    (kept,) = checkpoint_folders(out / "checkpoints")
    assert kept.name == f"step-{rows[-1]['step']:08d}"


def test_no_variation_changes_a_bit(tmp_path: Path) -> None:
    """Fresh processes, loader workers, more logging and sampling: the same digests after every step."""
    common = ("train", "mlp-gan-mnist", "--steps", "20", "--trace", "--no-tensorboard", "--no-pictures")

    def trace(name: str, *arguments: str) -> list[dict[str, object]]:
        run(*common, *arguments, "--out", tmp_path / name)
        return list(read_rows(tmp_path / name / "trace.jsonl"))

    first = trace("first", "--seed", "3")
    assert len(first) == 20
    assert trace("again", "--seed", "3") == first
    assert trace("workers", "--seed", "3", "--workers", "2") == first
    assert trace("often", "--seed", "3", "--log-every", "1", "--sample-every", "1", "--checkpoint-every", "1") == first
    other = trace("other", "--seed", "4")
    digests = [row["digests"]["network/generator/0.weight"] for row in (first[-1], other[-1])]  # type: ignore[index]
    assert digests[0] != digests[1]


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    """SIGKILL whenever, resume, again and again: the run ends with the bits of one that was never killed."""
    seed = random.randrange(2**32)
    print(f"kill moments drawn with seed {seed}")
    moments = random.Random(seed)
    arguments = (
        "train",
        "mlp-gan-mnist",
        "--epochs",
        "14",
        "--seed",
        "1",
        "--checkpoint-every",
        "37",
        "--sample-every",
        "50",
        "--log-every",
        "10",
        "--no-tensorboard",
        "--no-pictures",
        "--threads",
        "1",
    )
    whole = Life([*arguments, "--out", tmp_path / "whole"], ROOT)

    out = tmp_path / "killed"
    kills = 0
    while kills < 10:
        resume = ("--resume",) if (out / "run.json").exists() else ()
        life = Life([*arguments, "--out", out, *resume], ROOT)
        # Somewhere in the next 60 steps, whatever the machine's speed; 37 of them may have to be done again.
        log = out / "log.txt"
        shown = log.read_text().count("\n") if log.exists() else 0
        target = shown + moments.randrange(1, 7)
        wait_until(functools.partial(has_lines, log, target))
        time.sleep(moments.uniform(0, 0.03))
        life.kill()
        assert life.wait() == -signal.SIGKILL, "the run ended before it was killed: it must be longer"
        kills += 1
    run(*arguments, "--out", out, "--resume")
    assert whole.wait(timeout=300) == 0

    last = "step-00000700"
    files = [tmp_path / name / "checkpoints" / last / "tensors.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = [list(read_rows(RunFolder(tmp_path / name).metrics)) for name in ("whole", "killed")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 700
    pictures = [sorted((tmp_path / name / "samples").iterdir()) for name in ("whole", "killed")]
    assert [p.name for p in pictures[0]] == [p.name for p in pictures[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))


def has_lines(file: Path, n: int) -> bool:
    return file.exists() and file.read_text().count("\n") >= n


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.01)


def test_doctor_says_what_would_make_figures_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    found = {one.what: one for one in findings(None)}
    assert found["cuBLAS"].detail.startswith("CUBLAS_WORKSPACE_CONFIG is ':0:0'")
    assert found["allocator"].detail == "PYTORCH_ALLOC_CONF=expandable_segments:True"
    assert "GOMP_SPINCOUNT=7" in found["threads"].detail
    assert not found["GPU"].found
    assert found["GPU"].detail
