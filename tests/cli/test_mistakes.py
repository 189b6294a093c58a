"""What a user gets wrong is one line that names it, and keeps what is there."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.cli.__main__ import main
from harness.training.checkpoint import checkpoint_folders
from harness.training.run_folder import read_rows
from tests.cli.test_commands import ROOT, TOY, complaint, run


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "mlp-gan-mnits"), "unknown reference 'mlp-gan-mnits'; did you mean mlp-gan-mnist"),
        (("train", "mlp-gan-mnist", "--device", "tpu"), "unknown device 'tpu'; there are: auto, cpu"),
        (("train", "mlp-gan-mnist", "--seed", "-1"), "seed must be 0 or more, not -1"),
        (("train", "mlp-gan-mnist", "--batch-size", "-3"), "batch_size must be 1 or more, not -3"),
        (("train", "mlp-gan-mnist", "--batch-size", "6000"), "a batch of 6000 is larger than the data set: 5000"),
        (("train", "mlp-gan-mnist", "--steps", "1", "--epochs", "1"), "--steps and --epochs exclude each other"),
        (("train", "mlp-gan-mnist", "--data-root", "/no/where"), "the data root /no/where isn't a folder"),
        (("train", "mlp-gan-mnist", "--reference-module", "no.module"), "'no.module' can't be imported"),
        (("train", "mlp-gan-mnist", "--out", "/proc/run"), "/proc/run"),
        (("sample", "/no/where"), "/no/where isn't a run's folder"),
        (("sample", "/no/where", "--out", "thesis.tex"), "--out must name a .png file, not thesis.tex"),
        (("sample", "/no/where", "--mode", "collage"), "unknown sampling mode 'collage'; there are: random, interp"),
        (
            ("sample", "/no/where", "--mode", "interpolate", "--interpolation", "diagonal"),
            "unknown interpolation 'diagonal'; there are: ends, mid",
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
