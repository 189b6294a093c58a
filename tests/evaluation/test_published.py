"""Extractors with published weights: where these are looked for, and what is said of wrong ones."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_clip import CLIPVisual

from harness.evaluation import metrics
from harness.evaluation.extractors import published
from harness.evaluation.extractors.dinov2 import SIZES, Size, VisionTransformer
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.extractors.published import PUBLISHED, NoExtractorError, given_extractors, published_file
from harness.evaluation.features import Features

CPU = torch.device("cpu")
DINO, CLIP = "dinov2-vit-s-14", "clip-vit-b-32"
SOME = torch.randint(0, 256, (70, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with DINOv2 and CLIP in small, drawn: their own weights aren't to be had here."""
    torch.manual_seed(0)
    monkeypatch.setitem(SIZES, DINO, Size(12, 2, 3))
    network = VisionTransformer(SIZES[DINO])
    for parameter in network.parameters():
        parameter.data.normal_(0, 0.2)
    torch.save(network.state_dict(), tmp_path / PUBLISHED[DINO].file)
    clip = CLIPVisual(16, 32, 2, 64, 16)  # 16 features of images of 32×32 in patches of 16
    clip.visual.ln_pre, clip.visual.ln_post = nn.LayerNorm(64), nn.LayerNorm(64)
    clip.text_projection = nn.Parameter(torch.zeros(8, 16))
    with warnings.catch_warnings(action="ignore"):  # deprecated, and CLIP is published so
        holder = torch.jit.script(Held(clip))
    holder.save(str(tmp_path / PUBLISHED[CLIP].file))
    monkeypatch.setattr(published, "sha256", lambda _: PUBLISHED[CLIP].digest)
    return tmp_path


class Held(nn.Module):
    """Values by name, in the kind of file that CLIP is published in."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        for name, values in network.state_dict().items():
            self._hold(name.split("."), values.half() if values.is_floating_point() else values)

    def _hold(self, path: list[str], values: torch.Tensor) -> None:
        place: nn.Module = self
        for part in path[:-1]:
            if part not in dict(place.named_children()):
                place.add_module(part, nn.Module())
            place = dict(place.named_children())[part]
        place.register_buffer(path[-1], values)

    def forward(self) -> int:
        return 0


@pytest.mark.parametrize(("name", "dimension"), [(DINO, 12), (CLIP, 16)])
def test_features_without_logits_give_distances_and_neighbours(name: str, dimension: int, tiny: Path) -> None:
    extractor = load_extractor(name, CPU, published=tiny)
    features, logits = extractor(SOME)
    assert (features.shape, logits.shape) == ((70, dimension), (70, 0))
    assert extractor.protocol()["extractor"].startswith(f"{name} ")
    one, other = Features(features[:35], logits[:35]), Features(features[35:], logits[35:])
    found = {v.metric.name for v in metrics.measure_quality(one, other, None, extractor.classes, digits=False)}
    assert {"fid", "kid", "precision", "recall", "density", "coverage"} <= found
    assert "inception_score" not in found, "without logits no class is told apart"


@pytest.mark.parametrize("name", [DINO, "mnistnet"])
def test_how_many_an_extractor_sees_at_once_changes_nothing(name: str, tiny: Path) -> None:
    extractor = load_extractor(name, CPU, published=tiny)
    features, _ = extractor(SOME)
    real = features.flip(0)[:60] + 0.1
    for batch in (1, 7, 70):
        again, _ = replace(extractor, batch=batch)(SOME)
        assert torch.allclose(again, features, atol=1e-5)
        few = slice(0, 8)  # as few dimensions as there are images enough for
        one, other = (metrics.kernel_distance(found[:, few], real[:, few]) for found in (again, features))
        assert one == pytest.approx(other, abs=1e-5)


def test_what_is_given_says_who_looks(tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert given_extractors(tiny) == [DINO, CLIP]
    assert given_extractors(tiny / PUBLISHED[CLIP].file) == [CLIP]
    assert given_extractors(tiny / "mine.pth") == ["inception"]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert given_extractors(None) == []
    kept = tmp_path / "hub" / "checkpoints" / PUBLISHED["inception"].file
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert given_extractors(None) == ["inception"], "DINOv2 looks only when somebody asks for it: it is slow"
    renamed = kept.parent / f"{CLIP}-{PUBLISHED[CLIP].digest}.pt"
    renamed.touch()
    assert published_file(CLIP, None) == renamed, "what torch-fidelity has fetched goes by its own name"


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "inception"])
def test_what_isnt_there_or_isnt_it_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(NoExtractorError, match=f"{name} needs its weights: none is given with --extractor-weights"):
        load_extractor(name, CPU)
    with pytest.raises(ValueError, match=f"{name} needs its weights: .*{PUBLISHED[name].file} isn't there"):
        load_extractor(name, CPU, published=tmp_path)
    other = tmp_path / PUBLISHED[name].file
    torch.save({}, other)
    wrong = "isn't the published" if PUBLISHED[name].digest else "doesn't hold the weights of"
    with pytest.raises(ValueError, match=wrong):
        load_extractor(name, CPU, published=other)
