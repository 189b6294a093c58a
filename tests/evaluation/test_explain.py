"""Which difference of protocol explains a difference of FIDs: each done on purpose, and found again."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.data.mnist import Mnist, bundled_root
from harness.evaluation.explain import Alternative, Explanation, Sides, _changes, explain
from harness.evaluation.explained import explain_records
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.images import write_images
from harness.evaluation.metrics import frechet_distance
from tests.cli.test_commands import run
from tests.comparison.test_compare import called
from tests.comparison.test_points import fid, report

N = 300


@cache
def mnistnet() -> Extractor:
    return load_extractor("mnistnet", torch.device("cpu"))


@cache
def digits() -> Tensor:
    return Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0)).images


def noisy(images: Tensor) -> Tensor:
    noise = torch.randint(0, 60, images.shape, generator=torch.Generator().manual_seed(0))
    return (images.int() + noise).clamp(0, 255).byte()


@cache
def found() -> Explanation:
    sides = Sides(noisy(digits()[:N]), digits()[N : 2 * N], {"others of the same set": digits()[2 * N : 3 * N]})
    return explain(sides, replace(mnistnet(), batch=100))


def test_the_usual_figure_is_that_of_the_images_as_they_are() -> None:
    made, real = (mnistnet()(images)[0] for images in (noisy(digits()[:N]), digits()[N : 2 * N]))
    assert found().usual == pytest.approx(frechet_distance(made, real), rel=1e-5)


@pytest.mark.parametrize("quality", [90, 75])
def test_jpeg_is_found_where_jpeg_was_done(quality: int) -> None:
    """The saboteur stores the generated images as JPEG, and holds them against the same real ones."""
    jpeg = {how: change for what, how, change in _changes(digits(), mnistnet()) if what == "JPEG"}
    stored = jpeg[f"quality {quality}"](noisy(digits()[:N]))
    other = frechet_distance(mnistnet()(stored)[0], mnistnet()(digits()[N : 2 * N])[0])
    nearest = found().nearest(other)
    assert nearest is not None
    alternative, enough = nearest
    assert (alternative.what, alternative.how) == ("JPEG", f"quality {quality}, generated images alone")
    assert enough


def test_other_real_images_are_found() -> None:
    other = frechet_distance(mnistnet()(noisy(digits()[:N]))[0], mnistnet()(digits()[2 * N : 3 * N])[0])
    nearest = found().nearest(other)
    assert nearest is not None
    assert (nearest[0].what, nearest[0].how, nearest[1]) == ("real images", "others of the same set", True)


def test_how_many_are_looked_at_at_once_changes_nothing() -> None:
    at_once = [alternative.fid for alternative in found().alternatives if alternative.what == "images at once"]
    assert len(at_once) == 2
    assert at_once == pytest.approx([found().usual] * 2, rel=1e-4)


def test_what_nothing_explains_is_said() -> None:
    explanation = Explanation(10.0, (Alternative("JPEG", "quality 75", 10.5), Alternative("n", "50 a side", 9.0)))
    assert explanation.nearest(100.0) == (Alternative("JPEG", "quality 75", 10.5), False)
    assert explanation.nearest(10.45) == (Alternative("JPEG", "quality 75", 10.5), True)
    assert explanation.nearest(10.1) is None, "the usual figure is nearer than any"
    assert Explanation(10.0, ()).nearest(9.0) is None


def test_images_of_another_size_go_through_every_filter() -> None:
    larger = torch.nn.functional.interpolate(digits()[:2].float(), (41, 41), mode="bicubic").clamp(0, 255).byte()
    changed = {how: change(larger) for what, how, change in _changes(larger, mnistnet()) if what.startswith("resizing")}
    assert len(changed) == 5
    assert {tuple(images.shape) for images in changed.values()} == {(2, 1, 28, 28)}
    assert len({images.numpy().tobytes() for images in changed.values()}) == 5, "each filter gives other bytes"
    assert not [what for what, _, _ in _changes(digits(), mnistnet()) if what.startswith("resizing")]


def test_the_command_says_what_explains_a_figure(tmp_path: Path) -> None:
    write_images(tmp_path / "mine", noisy(digits()[:100]))
    done = run(
        *("explain-fid", tmp_path / "mine", "idl-gan-mnist", "--other", "1e6"),
        *("--device", "cpu", "--out", tmp_path / "out"),
    )
    assert "100 images against as many of MNIST, 5,000 of 60,000, by mnistnet" in done.stdout
    assert "comes nearest, and doesn't explain it alone" in " ".join(done.stdout.split())
    assert "| JPEG" in (tmp_path / "out" / "explained.md").read_text()


def test_what_cannot_be_explained_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "mine", digits()[:5])
    for given, said in (
        (("nowhere", "idl-gan-mnist"), "'nowhere' is neither a folder of a run or of images, nor module:callable"),
        (("mine",), "what mine is held against isn't said: explain-fid A B"),
        (("mine", "idl-gan-mnist"), "FID needs more samples than the features have dimensions (64): 5 generated"),
        (("mine", "idl-gan-grid"), "idl-gan-grid is on 'gaussian-grid': sample quality is measured on sets of images"),
    ):
        assert called(monkeypatch, "explain-fid", *given, "--device", "cpu") == 2
        assert f"gan-harness: {said}" in capsys.readouterr().err


def test_two_evaluations_differ_in_what_their_protocols_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = fid(3.0, 0, protocol={"extractor": "mnistnet 1", "resize": "a"})
    other = fid(5.0, 0, n=50, protocol={"extractor": "mnistnet 1", "resize": "b"})
    here, there = report(tmp_path / "a", [one]), report(tmp_path / "b", [other])
    differences, figures = explain_records(here, there)
    assert {(d.field, d.here, d.there) for d in differences} == {("n", "100", "50"), ("resize", "a", "b")}
    assert figures == (3.0, 5.0)
    assert called(monkeypatch, "explain-fid", here, there) == 0
    assert "what differs" in capsys.readouterr().out
    assert called(monkeypatch, "explain-fid", here, here) == 0
    assert "Their protocols say the same" in capsys.readouterr().out
    twice = report(tmp_path / "c", [one, fid(4.0, 1, protocol=dict(one.protocol))])
    assert called(monkeypatch, "explain-fid", here, twice) == 2
    assert "holds 2 FIDs: name the folder of one evaluation" in capsys.readouterr().err
