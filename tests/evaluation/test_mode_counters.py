"""Modes counted as others count them: what the true distribution has, and what a collapsed one has."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.data import open_dataset
from harness.data.mixtures import MIXTURES
from harness.evaluation.evaluate import Evaluation, evaluate
from harness.evaluation.images import write_images
from harness.evaluation.mode_counters import card_of_modes, mode_counter, modes_asked
from harness.evaluation.options import EvaluateOptions
from harness.records.metrics import MetricValue
from harness.records.record import read_records
from reference import get
from tests.evaluation.conftest import run

CPU = torch.device("cpu")


def counted(name: str, samples: Tensor) -> dict[str, float]:
    card = card_of_modes(name)
    counter = mode_counter(card, open_dataset(card, None), CPU, None, 10_000)
    return named(counter.count(samples))


def named(values: list[MetricValue]) -> dict[str, float]:
    return {value.metric.name: value.value for value in values if "mode" not in value.protocol}


def points(name: str, modes: list[int], n: int) -> Tensor:
    mixture, random = MIXTURES[name], np.random.default_rng(0)
    centres = np.array(mixture.modes.centres)[random.choice(modes, n)]
    return torch.from_numpy(centres + mixture.modes.deviation * random.standard_normal((n, 2)))


@pytest.mark.parametrize("name", MIXTURES)
def test_points_hit_the_modes_that_they_are_drawn_from(name: str) -> None:
    k = len(MIXTURES[name].modes.centres)
    whole, three = counted(name, points(name, list(range(k)), 2500)), counted(name, points(name, [0, 1, 2], 2500))
    assert (whole["modes_captured"], three["modes_captured"]) == (k, 3)
    assert whole["high_quality_fraction"] == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert whole["reverse_kl"] < 0.02
    assert three["reverse_kl"] == pytest.approx(math.log(k / 3), abs=0.01)


def test_stacked_digits_are_read_channel_by_channel() -> None:
    """The data's own pictures have all modes; the saboteur draws one digit again and again, or the same in each."""
    card = card_of_modes("stacked-mnist")
    data = open_dataset(card, None)
    pictures = data.pixels(torch.arange(8000)).data  # type: ignore[attr-defined]
    labels = data[torch.arange(8000)].labels
    assert labels is not None
    whole = counted("stacked-mnist", pictures)
    assert whole["modes_captured"] == pytest.approx(len(labels.unique()), abs=8)
    assert whole["reverse_kl"] == pytest.approx(999 / 16_000, abs=0.03), "as of 8,000 samples of the data: (k - 1) / 2n"
    alike = counted("stacked-mnist", pictures[:, :1].expand(-1, 3, -1, -1))
    assert alike["modes_captured"] == 10
    assert alike["reverse_kl"] == pytest.approx(math.log(100), abs=0.1)
    one = counted("stacked-mnist", pictures[:1].repeat(100, 1, 1, 1))
    assert one["modes_captured"] == 1
    with pytest.raises(ValueError, match=r"counted in pictures \(n, 3, 28, 28\), not"):
        counted("stacked-mnist", pictures[:, :1])


def ask(target: object, against: str, **more: object) -> Evaluation:
    return evaluate(EvaluateOptions(str(target), against=against, out=Path("out"), device="cpu", **more))  # type: ignore[arg-type]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"points_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "import math, torch\n"
        "def ring(n, seed):\n"
        "    g = torch.Generator().manual_seed(seed)\n"
        "    angle = torch.randint(8, (n,), generator=g) * math.pi / 4\n"
        "    return torch.stack([angle.cos(), angle.sin()], 1) + 0.01 * torch.randn(n, 2, generator=g)\n"
        "def lost(n, seed):\n    return torch.full((n, 2), float('nan'))\n"
        "def digits(n, seed):\n    return torch.rand(n, 3, 28, 28)\n"
    )
    monkeypatch.chdir(tmp_path)
    return name


def test_a_function_of_ones_own_is_held_against_the_ring(module: str) -> None:
    shown = run("evaluate", f"{module}:ring", "--against", "ring-8", "--out", "out", "--device", "cpu").stdout
    assert "2500 points, against ring of 8 Gaussians" in shown
    records = read_records(Path("out/records.jsonl"))
    (hit,) = [r for r in records if r.metric == "modes_captured"]
    assert (hit.value, hit.n, hit.suite, hit.data) == (8, 2500, "modes", "ring of 8 Gaussians")
    assert named(ask(f"{module}:ring", "grid-25", count=500).values)["modes_captured"] == 0


@pytest.mark.usefixtures("module")
def test_a_file_of_points_and_a_folder_of_pictures_do() -> None:
    np.save("points.npy", points("gaussian-grid", [0, 4], 700).numpy())
    found = ask("points.npy", "idl-gan-grid")
    assert (named(found.values)["modes_captured"], found.n) == (2, 700)
    write_images(Path("pictures"), torch.randint(0, 256, (30, 3, 28, 28), dtype=torch.uint8))
    assert ask("pictures", "stacked-mnist", count=30).n == 30


def test_what_cannot_be_counted_is_one_line(module: str) -> None:
    np.save("three.npy", np.zeros((5, 3)))
    Path("text.npy").write_text("1 2")
    np.save("few.npy", np.zeros((5, 2)))
    for target, against, more, said in (
        (f"{module}:lost", "ring-8", {}, "needs finite samples"),
        (f"{module}:digits", "ring-8", {"count": 9}, r"gives samples of shape \(3, 28, 28\), ring-8 has \(2,\)"),
        (f"{module}:ring", "stacked-mnist", {"count": 9}, r"gives samples of shape \(2,\), stacked-mnist has \(3, 28"),
        ("three.npy", "ring-8", {}, r"gives samples of shape \(3,\)"),
        ("text.npy", "ring-8", {}, "text.npy can't be read as an array of points"),
        ("few.npy", "ring-8", {"count": 9}, "few.npy holds 5 points, asked for were 9"),
        ("none.npy", "ring-8", {}, "none.npy can't be read"),
        (f"{module}:ring", "ring-8", {"extractor": "mnistnet"}, "play no part where modes of ring-8 are counted"),
        (f"{module}:ring", "ring-9", {}, "unknown reference 'ring-9'"),
    ):
        with pytest.raises(ValueError, match=said):
            ask(target, against, **more)
    assert not Path("out").exists()


def test_modes_are_asked_for_by_a_set_or_by_a_reference_on_one() -> None:
    assert modes_asked("ring-8")
    assert modes_asked("idl-wgan-gp-grid")
    assert not modes_asked("idl-gan-mnist")
    assert not modes_asked("")
    card = get("idl-gan-mnist").card
    data = open_dataset(card, None)
    with pytest.raises(ValueError, match="whose modes nobody knows; known are those of gaussian-grid, grid-25, ring-8"):
        mode_counter(card, data, CPU, None, 10)
