from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import reference
from harness.training.player import make_players
from harness.training.streams import GeneratorNoise
from reference.style_transfer import Features, vgg19


def tiny() -> nn.Sequential:
    """A feature network of one's own."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU())


OWN = "style-transfer@size=32,features=tests.reference.test_style_transfer:tiny,content_layer=3,style_layers=1+3"


def noise() -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(0))


def test_a_network_of_ones_own_is_optimised_against() -> None:
    chosen = reference.get(OWN)
    torch.manual_seed(0)
    networks = chosen.networks()
    before = [p.clone() for p in networks["features"].parameters()]
    players = make_players(networks, chosen.optimizers(networks))
    batch = reference.Batch(torch.rand(1, 3, 32, 32), None, torch.rand(1, 3, 32, 32))
    values = [chosen.step(players, batch, noise()) for _ in range(60)]
    assert values[-1]["loss"] < 0.2 * values[0]["loss"]
    assert all(torch.equal(a, b) for a, b in zip(before, networks["features"].parameters(), strict=True))
    sample = chosen.sample(networks, 2, noise())
    assert torch.equal(sample[0], sample[1])
    assert 0 <= sample.min() <= sample.max() <= 1


def test_the_targets_are_computed_once_and_saved() -> None:
    features = Features(tiny(), 3, (1, 3), 16)
    content, style = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    features.remember(content, style)
    other = Features(tiny(), 3, (1, 3), 16)
    other.load_state_dict(features.state_dict())
    assert other.remembered
    assert torch.equal(other.targets()[0], features.describe(content)[0])
    assert all(torch.equal(a, b) for a, b in zip(other.targets()[1], features.describe(style)[1], strict=True))


def test_gram_matrices_are_those_of_the_formula() -> None:
    features = Features(nn.Sequential(nn.Identity()), 0, (0,), 8)
    picture = torch.rand(1, 3, 8, 8)
    flat = ((picture - features.mean) / features.deviation)[0].flatten(1)
    assert torch.allclose(features.describe(picture)[1][0], flat @ flat.T / (2 * 3 * 64))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file_with_torchvisions_names(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(3)
    wanted = vgg19().state_dict()
    saved = {f"features.{name}": tensor for name, tensor in wanted.items()} | {"classifier.0.bias": torch.ones(3)}
    path = tmp_path / f"vgg{suffix}"
    torch.save(saved, path) if suffix == ".pth" else save_file(saved, path)
    chosen = reference.get("style-transfer", size=16, weights=str(path))
    torch.manual_seed(4)
    found = chosen.networks()["features"].layers.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "vgg99"}, "features must be vgg19 or module:callable, not 'vgg99'"),
        ({"features": "no.module:net"}, "no.module:net can't be had"),
        ({"features": "json:loads"}, "can't be had|must be an nn.Sequential"),
        ({"features": "builtins:dict"}, r"must be an nn\.Sequential, not a dict"),
        ({"weights": "/no/where.pth"}, r"the weights /no/where\.pth aren't a file"),
        ({"content_layer": 77}, "vgg19 has the layers 0 to 29, there is no layer 77"),
    ],
)
def test_networks_that_cannot_be_had_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference.get("style-transfer", **({"size": 16} | options)).networks()


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(2)}, tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match=r"vgg\.pth don't fit the feature network: they lack"):
        reference.get("style-transfer", size=16, weights=str(tmp_path / "vgg.pth")).networks()
    (tmp_path / "vgg.pth").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"vgg\.pth can't be used"):
        reference.get("style-transfer", size=16, weights=str(tmp_path / "vgg.pth")).networks()
