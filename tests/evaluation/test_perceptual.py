"""Perceptual distances: what LPIPS gives with known weights, and pairs of which no image is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.evaluation.compared import StoredImages
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.extractors.published import LPIPS_FILE, VGG16_FILE
from harness.evaluation.lpips import Lpips
from harness.evaluation.perceptual import (
    FeatureDistance,
    find_lpips,
    lpips_diversity,
    mean_pair_distance,
    random_pairs,
)

CPU = torch.device("cpu")


class Halves:
    """A distance whose values are known: 1 between images of different means, 0 otherwise."""

    name = "halves"

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        return (one.flatten(1).mean(1) != other.flatten(1).mean(1)).float()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the layout of those that are published, which aren't to be had here: drawn values."""
    from torchvision.models.vgg import cfgs, make_layers

    folder = tmp_path_factory.mktemp("lpips")
    torch.manual_seed(0)
    whole = nn.ModuleDict({"features": make_layers(cfgs["D"]), "classifier": nn.Linear(1, 1)})
    torch.save(whole.state_dict(), folder / VGG16_FILE)
    lins = {f"lin{n}.model.1.weight": torch.rand(1, width, 1, 1) for n, width in enumerate((64, 128, 256, 512, 512))}
    torch.save(lins, folder / LPIPS_FILE)
    return folder


@pytest.fixture(scope="module")
def lpips(weights: Path) -> Lpips:
    found = find_lpips(weights, CPU)
    assert isinstance(found, Lpips)
    return found


def pictures(n: int, seed: int) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_lpips_is_the_sum_of_weighted_differences_of_normalised_activations(lpips: Lpips, weights: Path) -> None:
    one, other = pictures(2, 0), pictures(2, 1)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    lins = torch.load(weights / LPIPS_FILE)
    expected = torch.zeros(2, dtype=torch.float64)
    a, b = ((images.double() - mean) / std for images in (one, other))
    layers, number = lpips.net.double(), 0
    for part in layers:
        a, b = part(a), part(b)
        unit_a, unit_b = (x / (x.norm(dim=1, keepdim=True) + 1e-10) for x in (a, b))
        expected += (lins[f"lin{number}.model.1.weight"].double() * (unit_a - unit_b) ** 2).sum(1).mean((1, 2))
        number += 1
    layers.float()
    assert number == 5
    assert torch.allclose(lpips(one, other).double(), expected, rtol=2e-3)


def test_lpips_of_an_image_and_itself_is_nothing_and_grey_ones_do(lpips: Lpips) -> None:
    assert lpips(pictures(3, 0), pictures(3, 0)).abs().max() == 0
    grey = pictures(3, 0)[:, :1]
    assert lpips(grey, grey.flip(0))[0] > 0


def test_diversity_says_what_two_real_images_are_apart(lpips: Lpips) -> None:
    made, real = (255 * pictures(20, seed) for seed in (0, 1))
    dataset = StoredImages(real.byte(), "drawn", (-1.0, 1.0))
    found = lpips_diversity(made.byte(), dataset, (-1.0, 1.0), lpips)
    assert found.value == pytest.approx(float(found.protocol["two real images"]), rel=0.1)
    assert found.protocol["extractor"].startswith("lpips-vgg16 ")
    same = lpips_diversity(made[:1].byte().repeat(20, 1, 1, 1), dataset, (-1.0, 1.0), lpips)
    assert same.value == 0, "the saboteur: a generator that draws one picture"


def test_lpips_needs_both_of_its_files_and_these(weights: Path, tmp_path: Path) -> None:
    assert find_lpips(None, CPU) is None
    (tmp_path / LPIPS_FILE).write_bytes((weights / LPIPS_FILE).read_bytes())
    assert find_lpips(tmp_path, CPU) is None
    torch.save({"other": torch.zeros(1)}, tmp_path / VGG16_FILE)
    with pytest.raises(ValueError, match=f"{VGG16_FILE} doesn't hold what LPIPS needs: .*Missing key"):
        find_lpips(tmp_path, CPU)


@pytest.mark.parametrize(("n", "most", "count"), [(2, 9, 1), (9, 9, 4), (100, 7, 7)])
def test_no_image_is_in_two_pairs(n: int, most: int, count: int) -> None:
    one, other = random_pairs(n, most)
    assert len(one) == len(other) == count
    assert len({*one.tolist(), *other.tolist()}) == 2 * count


def test_one_image_has_no_distance() -> None:
    with pytest.raises(ValueError, match="takes two of them, not 1"):
        mean_pair_distance(pictures(1, 0), Halves())


def test_pairs_mix_what_lies_in_turn() -> None:
    """Labels run through the classes: neighbours would always differ, and half of random pairs don't."""
    images = torch.arange(1000).view(-1, 1, 1, 1) % 2 * torch.ones(1, 1, 4, 4)
    assert mean_pair_distance(images, Halves(), pairs=500) == pytest.approx(0.5, abs=0.1)


def test_features_are_apart_by_less_than_a_byte() -> None:
    distance = FeatureDistance(load_extractor("mnistnet", CPU))
    image = pictures(1, 0)[:, :1]
    assert float(distance(image, image)) == 0
    small, large = (float(distance(image, (image + step).clamp(0, 1))) for step in (1e-4, 1e-3))
    assert large / small == pytest.approx(100, rel=0.1), "squared, and not rounded to bytes"
    assert distance.name.startswith("features of mnistnet ")
