"""`gan-harness sample`, from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_commands import complaint, run


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
    assert "the run was trained on MNIST, 5,000 of 60,000 " in told
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
            [
                "requested_class_share",
                "probe_accuracy",
                "style_shared [trait stroke_width]",
                "style_shared [trait slant]",
            ],
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
