"""A `state_dict` in the document's own layout goes into the reference strictly, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import reference

# Written down from the documents' listings: every tensor's name and shape, in order.
_CONV_T = ((100, 512), (512, 256), (256, 128), (128, 64))
DOCUMENTED: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
for _name, _channels in (("handson-dcgan-mnist", 1), ("pytorch-dcgan-celeba", 3)):
    _g: dict[str, tuple[int, ...]] = {}
    for _i, (_a, _b) in enumerate(_CONV_T):
        _g[f"main.{3 * _i}.weight"] = (_a, _b, 4, 4)
        for _part in ("weight", "bias", "running_mean", "running_var"):
            _g[f"main.{3 * _i + 1}.{_part}"] = (_b,)
        _g[f"main.{3 * _i + 1}.num_batches_tracked"] = ()
    _g["main.12.weight"] = (64, _channels, 4, 4)
    _d: dict[str, tuple[int, ...]] = {"main.0.weight": (64, _channels, 4, 4)}
    for _i, (_a, _b) in enumerate(((64, 128), (128, 256), (256, 512))):
        _d[f"main.{2 + 3 * _i}.weight"] = (_b, _a, 4, 4)
        for _part in ("weight", "bias", "running_mean", "running_var"):
            _d[f"main.{3 + 3 * _i}.{_part}"] = (_b,)
        _d[f"main.{3 + 3 * _i}.num_batches_tracked"] = ()
    _d["main.11.weight"] = (1, 512, 4, 4)
    DOCUMENTED[_name, "generator"] = _g
    DOCUMENTED[_name, "discriminator"] = _d
DOCUMENTED["mlp-gan-mnist", "generator"] = {
    "0.weight": (256, 64), "0.bias": (256,), "2.weight": (256, 256), "2.bias": (256,), "4.weight": (784, 256),
    "4.bias": (784,),
}  # fmt: skip
DOCUMENTED["mlp-gan-mnist", "discriminator"] = {
    "0.weight": (256, 784), "0.bias": (256,), "2.weight": (256, 256), "2.bias": (256,), "4.weight": (1, 256),
    "4.bias": (1,),
}  # fmt: skip


def _idl(prefix: str, first: int, blocks: tuple[int, int, int], last: int, outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for block, inputs in zip(blocks, (first, 512, 512), strict=True):
        shapes[f"{prefix}{block}.0.weight"] = (512, inputs)
        for name in ("0.bias", "2.weight", "2.bias"):
            shapes[f"{prefix}{block}.{name}"] = (512,)
    return shapes | {f"{prefix}{last}.weight": (outputs, 512), f"{prefix}{last}.bias": (outputs,)}


for _name, _latent, _pixels, _prefix, _judge in (
    ("idl-gan-mnist", 128, 784, "0.", "discriminator"),
    ("idl-gan-grid", 64, 2, "", "discriminator"),
    ("idl-wgan-gp-grid", 64, 2, "", "critic"),
    ("idl-wgan-gp-mnist", 128, 784, "0.", "critic"),
):
    DOCUMENTED[_name, "generator"] = _idl(_prefix, _latent, (0, 1, 2), 3, _pixels)
    DOCUMENTED[_name, _judge] = _idl("", _pixels, (1, 2, 3), 4, 1)


@pytest.mark.parametrize(("name", "role"), DOCUMENTED)
def test_the_documents_state_dict_loads_and_comes_back(name: str, role: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    saved = {key: torch.randn(shape) for key, shape in DOCUMENTED[name, role].items()}
    torch.save(saved, tmp_path / "net.pth")  # what the documents write
    network = reference.get(name).networks()[role]
    network.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True), strict=True)
    back = network.state_dict()
    assert list(back) == list(saved)
    assert all(torch.equal(back[key].float(), saved[key].to(back[key].dtype).float()) for key in saved)
