"""The command line as a user meets it: real processes, real kills, one line for every mistake."""

from __future__ import annotations

import functools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.cli.__main__ import main
from harness.cli.findings import findings
from harness.training.checkpoint import checkpoint_folders
from harness.training.run_folder import RunFolder, read_rows
from tests.processes import Life, call

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from harness.cli.__main__ import main; main()"]
TOY = ("toy-grid", "--reference-module", "tests.toys", "--no-tensorboard", "--no-pictures", "--threads", "1")


def run(
    *arguments: str | Path, code: int = 0, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """In a process of its own; with `before`, which acts in it first, in a fresh interpreter."""
    done = (
        call(arguments, ROOT)
        if before is None
        else subprocess.run(
            [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, timeout=300, preexec_fn=before
        )
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def complaint(*arguments: str | Path, before: Callable[[], None] | None = None) -> str:
    """The one line that a mistake gets."""
    done = run(*arguments, code=2, before=before)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("gan-harness: ")
    return lines[0]


@pytest.mark.parametrize("command", ["list", "doctor", "train", "sample", "tables"])
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


def test_no_sample_replaces_an_earlier_one_or_a_users_file(tmp_path: Path) -> None:
    asked = ("sample", "mlp-gan-mnist", "--untrained", "--device", "cpu", "-n", "4", "--out", tmp_path / "model.png")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"mine")
    assert f"{weights} is there already and no sample's" in complaint(*asked)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert weights.read_bytes() == b"mine"
    weights.unlink()
    run(*asked)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert f"what was there is kept: {tmp_path / 'model.1.png'}" in run(*asked, "--seed", "1").stdout
    for name, content in before.items():
        assert (tmp_path / name.replace("model.", "model.1.")).read_bytes() == content
        assert name.endswith("json") or (tmp_path / name).read_bytes() != content


def test_samples_that_need_data_take_the_runs_own_or_none(tmp_path: Path, mnist_root: Path) -> None:
    out = tmp_path / "run"
    run(
        "train",
        "idl-ex5-inpainting-unet-latent-mnist",
        "--steps",
        "1",
        "--batch-size",
        "4",
        "--out",
        out,
        "--no-tensorboard",
        "--no-pictures",
        "--threads",
        "1",
        "--device",
        "cpu",
    )
    asked = ("sample", out, "--mode", "inpaint", "-n", "4", "--device", "cpu")
    told = complaint(*asked, "--data-root", mnist_root)
    assert "the run was trained on stand-in: " in told
    assert "; found was IDX images, 40" in told
    assert not list(out.glob("inpaint*"))
    assert str(out / "inpaint-seed0") in run(*asked).stdout


@pytest.mark.parametrize(
    ("spec", "mode", "options", "images", "numbers"),
    [
        (
            "idl-cond-wgan-gp-mnist",
            "conditional",
            ("-n", "3"),
            30,
            ["requested_class_share", "reader_accuracy", "style_shared_stroke_width", "style_shared_slant"],
        ),
        (
            "idl-ex3-encoder-wgan-gp-mnist",
            "roundtrip",
            (),
            30,
            ["nearer_own_latent_after_1", "nearer_own_latent_after_2"],
        ),
        ("idl-ex5-inpainting-unet-latent-mnist", "inpaint", ("-n", "4"), 12, ["error_over_mean_fill"]),
        ("mlp-gan-mnist", "interpolate", ("--interpolation", "spherical"), 10, ["largest_step"]),
        ("mlp-gan-mnist", "arithmetic", ("--corrected",), 10, []),
        ("mlp-gan-mnist", "random", ("-n", "5"), 5, []),
    ],
)
def test_every_way_of_sampling_writes_a_picture_and_its_numbers(
    spec: str, mode: str, options: tuple[str, ...], images: int, numbers: list[str], tmp_path: Path
) -> None:
    source: str | Path = spec
    if mode == "conditional":  # one from a run, the others from networks as they are made
        source = tmp_path / "run"
        run(
            "train",
            spec,
            "--steps",
            "2",
            "--batch-size",
            "4",
            "--out",
            source,
            "--no-tensorboard",
            "--no-pictures",
            "--threads",
            "1",
        )
    stem = tmp_path / "run" / f"{mode}-seed2"
    out = () if mode == "conditional" else ("--out", stem.with_suffix(".png"), "--untrained")
    told = run("sample", source, "--mode", mode, "--seed", "2", *out, *options).stdout
    assert str(stem) in told
    assert np.load(stem.with_suffix(".npy")).shape[0] == images
    with Image.open(stem.with_suffix(".png")) as image:
        assert min(image.size) > 25
    assert np.loadtxt(stem.with_suffix(".txt"), ndmin=2).ndim == 2
    assert stem.with_suffix(".safetensors").is_file()
    if numbers:
        assert list(json.loads(stem.with_suffix(".json").read_text())) == numbers
    if mode == "conditional":
        run(
            "train",
            spec,
            "--steps",
            "1",
            "--batch-size",
            "4",
            "--out",
            source,
            "--no-tensorboard",
            "--no-pictures",
            "--overwrite",
        )
        assert not stem.with_suffix(".json").exists(), "what sampling wrote belongs to the run and goes with it"


def test_vectors_saved_by_one_call_are_taken_up_by_another(tmp_path: Path) -> None:
    """Document 000: random samples with their vectors, then an interpolation between two that one likes."""
    first = tmp_path / "random.png"
    run("sample", "mlp-gan-mnist", "--untrained", "-n", "12", "--seed", "4", "--out", first)
    run(
        "sample",
        "mlp-gan-mnist",
        "--untrained",
        "--mode",
        "interpolate",
        "--latents",
        first.with_suffix(".txt"),
        "--pick",
        "11,0",
        "--out",
        tmp_path / "between.png",
    )
    ends, images = np.load(tmp_path / "between.npy")[[0, -1]], np.load(first.with_suffix(".npy"))
    assert np.allclose(ends, images[[11, 0]], atol=1e-5)


def test_semantic_vectors_from_a_file_of_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0 1 1 0")
    told = run(
        "sample",
        "mlp-gan-mnist",
        "--untrained",
        "--mode",
        "semantic",
        "--labels",
        tmp_path / "labels.txt",
        "-n",
        "4",
        "--out",
        tmp_path / "moved.png",
    ).stdout
    assert "length" in told
    assert np.load(tmp_path / "moved.npy").shape == (12, 784)


def test_an_unpaired_picture_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "pairs" / "train"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "1.jpg")
    for width, message in ((64, "1.jpg isn't a pair: 64×64 pixels"), (65, "1.jpg is 65 pixels wide: an odd width")):
        Image.new("RGB", (width, 64)).save(folder / "1.jpg")
        said = complaint(
            "train",
            "idl-ex6-pix2pix@size=32,width=4",
            "--steps",
            "1",
            "--data-root",
            tmp_path,
            "--out",
            tmp_path / f"run{width}",
        )
        assert message in said


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "mlp-gan-mnits"), "unknown reference 'mlp-gan-mnits'; did you mean mlp-gan-mnist"),
        (("train", "mlp-gan-mnist", "--device", "tpu"), "unknown device 'tpu'; there are: auto, cpu"),
        (("train", "mlp-gan-mnist", "--seed", "-1"), "seed must be 0 or more, not -1"),
        (("train", "mlp-gan-mnist", "--batch-size", "-3"), "batch_size must be 1 or more, not -3"),
        (("train", "mlp-gan-mnist", "--batch-size", "5000"), "a batch of 5000 is larger than the data set: 1500"),
        (("train", "mlp-gan-mnist", "--steps", "1", "--epochs", "1"), "--steps and --epochs exclude each other"),
        (("train", "mlp-gan-mnist", "--data-root", "/no/where"), "the data root /no/where isn't a folder"),
        (("train", "mlp-gan-mnist", "--reference-module", "no.module"), "'no.module' can't be imported"),
        (("train", "mlp-gan-mnist", "--out", "/proc/run"), "/proc/run"),
        (("sample", "/no/where"), "/no/where isn't a run's folder"),
        (("sample", "/no/where", "--out", "thesis.tex"), "--out must name a .png file, not thesis.tex"),
        (("sample", "/no/where", "--mode", "collage"), "unknown sampling mode 'collage'; there are: random, interp"),
        (
            ("sample", "/no/where", "--mode", "interpolate", "--interpolation", "diagonal"),
            "unknown way 'diagonal' to interpolate; there are: ends, mid",
        ),
        (
            ("sample", "mlp-gan-mnist", "--untrained", "--mode", "inpaint"),
            "mlp-gan-mnist has random, interpolate, arithmetic, sem",
        ),
        (
            ("sample", "mlp-gan-mnist", "--untrained", "--mode", "interpolate", "--pick", "2,77"),
            "there is no vector 77: 10 are",
        ),
        (
            ("sample", "mlp-gan-mnist", "--untrained", "--mode", "semantic"),
            "takes --labels FILE (0 or 1 per sample) or --attribute",
        ),
        (
            ("sample", "mlp-gan-mnist", "--untrained", "--mode", "semantic", "--attribute", "Happy"),
            "must be a digit for mnist, not",
        ),
        (("sample", "idl-cond-wgan-gp-mnist", "--untrained", "--label", "10"), "--label must be from 0 to 9, not 10"),
        (
            ("sample", "mlp-gan-mnist", "--untrained", "--latents", "/no/where.txt"),
            "/no/where.txt can't be read as latent vectors",
        ),
        (("sample", "mlp-gan-mnist"), "mlp-gan-mnist is a reference and no run: train it"),
        (("sample", "/no/where", "--pick", "1,2"), "--pick has no effect in the mode random, only in interpolate, ari"),
        (
            ("sample", "/no/where", "--mode", "arithmetic", "--interpolation", "ends"),
            "--interpolation has no effect in the mode arithmetic",
        ),
        (("sample", "idl-pgan-celebahq512@checkpoint=/no/where.pth"), "the checkpoint /no/where.pth isn't a file"),
        (("train", "idl-ex6-pix2pix@size=100"), "size must be a power of two from 32 to 1024"),
        (("train", "idl-ex6-pix2pix@sise=64"), "idl-ex6-pix2pix has no option 'sise'; its options: size, width, swap"),
        (("train", "style-transfer@features=vgg99"), "features must be vgg19 or module:callable, not 'vgg99'"),
        (("sample", "/no/where", "-n", "99999999999"), "--count must be from 1 to 100000"),
        (("train", "mlp-gan-mnist", "--seed", "abc"), "Invalid value for '--seed'"),
        (("train", "mlp-gan-mnist", "--sede", "1"), "No such option"),
        (("train",), "Missing argument"),
        (("trian",), "No such command"),
        (("train", "mlp-gan-mnist", "--threads", "99999999999"), "threads must be 1024 or less"),
        (("tables", "/no/where"), "session.json isn't there"),
    ],
)
def test_mistakes_get_one_line(
    arguments: Sequence[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In this process: a new one for each mistake would take minutes, and others of these tests have theirs."""
    out = () if "--out" in arguments or arguments[0] != "train" else ("--out", str(tmp_path / "run"))
    monkeypatch.setattr(sys, "argv", ["gan-harness", *arguments, *out])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("gan-harness: ")
    assert message in lines[0]
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_a_process_of_its_own() -> None:
    """The one of all tests of mistakes that starts a fresh interpreter."""
    assert "unknown reference 'mlp-gan-mnits'" in complaint("train", "mlp-gan-mnits", before=lambda: None)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-5], "is truncated"),
        (lambda raw: b"\x00\x00\x08\x01" + raw[4:], "has the magic number 0x00000801"),
        (None, "lacks train-images-idx3-ubyte"),
    ],
)
def test_damaged_mnist_gets_one_line(mnist_root: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    file = mnist_root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes()))
    assert message in complaint("train", "mlp-gan-mnist", "--data-root", mnist_root, "--out", tmp_path / "run")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_corrupt_picture_is_named_and_what_was_trained_stays(tmp_path: Path, workers: str) -> None:
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    for index in range(8):
        Image.new("RGB", (178, 218), (index * 30, 0, 0)).save(folder / f"{index}.jpg")
    (folder / "5.jpg").write_bytes(b"broken")
    out = tmp_path / "run"
    said = complaint(
        "train",
        "pytorch-dcgan-celeba",
        "--data-root",
        tmp_path,
        "--batch-size",
        "1",
        "--steps",
        "8",
        "--checkpoint-every",
        "1",
        "--sample-every",
        "0",
        "--no-tensorboard",
        "--out",
        out,
        "--workers",
        workers,
    )
    assert "5.jpg can't be read as an image" in said
    rows = list(read_rows(out / "metrics.jsonl"))
    kept = [int(p.name.removeprefix("step-")) for p in checkpoint_folders(out / "checkpoints")]
    assert kept == [row["step"] for row in rows][-3:]


def test_a_folder_without_images_gets_one_line(tmp_path: Path) -> None:
    (tmp_path / "celeba" / "img_align_celeba").mkdir(parents=True)
    said = complaint("train", "pytorch-dcgan-celeba", "--data-root", tmp_path, "--out", tmp_path / "run")
    assert "img_align_celeba holds no images" in said


def test_a_folder_that_fills_up_gets_one_line_and_keeps_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("train", "mlp-gan-mnist", "--steps", "2", "--out", out, "--no-tensorboard", "--no-pictures")
    before = (out / "checkpoints" / "step-00000002" / "tensors.safetensors").read_bytes()

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    said = complaint("train", "mlp-gan-mnist", "--steps", "4", "--out", out, "--resume", before=small_files_only)
    assert "writing the run failed, its checkpoints are kept" in said
    assert (out / "checkpoints" / "step-00000002" / "tensors.safetensors").read_bytes() == before
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000002"]
    run("train", "mlp-gan-mnist", "--steps", "4", "--out", out, "--resume")


def test_a_read_only_folder_gets_one_line(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/sys/run")  # nobody may create anything there, not even root
    else:
        tmp_path.chmod(0o500)
        target = tmp_path / "run"
    said = complaint("train", *TOY, "--steps", "2", "--out", target)
    assert str(target) in said


def test_a_loss_that_is_not_finite_has_its_own_exit_code(tmp_path: Path) -> None:
    name = ("toy-grid@broken=nan,at=4", *TOY[1:])
    done = run("train", *name, "--steps", "9", "--checkpoint-every", "2", "--out", tmp_path / "run", code=1)
    assert "loss_generator is nan at step 4" in done.stderr
    assert [p.name for p in checkpoint_folders(tmp_path / "run" / "checkpoints")] == ["step-00000002"]


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
    shown, _ = process.communicate(timeout=60)
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
        "140",
        "--seed",
        "1",
        "--checkpoint-every",
        "37",
        "--sample-every",
        "150",
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
        # Somewhere in the next 150 steps, whatever the machine's speed; 37 of them may have to be done again.
        log = out / "log.txt"
        shown = log.read_text().count("\n") if log.exists() else 0
        target = shown + moments.randrange(1, 16)
        wait_until(functools.partial(has_lines, log, target))
        time.sleep(moments.uniform(0, 0.03))
        life.kill()
        assert life.wait() == -signal.SIGKILL, "the run ended before it was killed: it must be longer"
        kills += 1
    run(*arguments, "--out", out, "--resume")
    assert whole.wait(timeout=300) == 0

    last = "step-00002100"
    files = [tmp_path / name / "checkpoints" / last / "tensors.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = [list(read_rows(RunFolder(tmp_path / name).metrics)) for name in ("whole", "killed")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2100
    pictures = [sorted((tmp_path / name / "samples").iterdir()) for name in ("whole", "killed")]
    assert [p.name for p in pictures[0]] == [p.name for p in pictures[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))


def has_lines(file: Path, n: int) -> bool:
    return file.exists() and file.read_text().count("\n") >= n


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried 2.00 GiB"), "out of memory; a smaller --batch-size"),
        (
            RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore"),
            "the GPU can't be used: CUDA error: all CUDA-capable devices are busy or unavailable",
        ),
    ],
)
def test_what_a_gpu_cannot_do_is_one_line(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("harness.training.train", fail)
    monkeypatch.setattr(sys, "argv", ["gan-harness", "train", "mlp-gan-mnist", "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"gan-harness: {said}")


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, AssertionError])
def test_an_error_of_the_users_own_code_keeps_its_traceback_and_is_no_failed_check(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr("harness.training.train", fail)
    monkeypatch.setattr(sys, "argv", ["gan-harness", "train", "mlp-gan-mnist", "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "shapes cannot be multiplied" in shown


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
