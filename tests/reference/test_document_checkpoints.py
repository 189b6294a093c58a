"""A `state_dict` in the document's own layout goes into the reference strictly, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import reference

# Written down from the documents' listings: every tensor's name and shape, in order.
_CONV_T = ((100, 512), (512, 256), (256, 128), (128, 64))
DOCUMENTED: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
for _name, _channels in (
    ("handson-dcgan-mnist", 1),
    ("handson-dcgan-celeba", 3),
    ("handson-dcgan-lsun", 3),
    ("pytorch-dcgan-celeba", 3),
):
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
    "0.weight": (256, 64),
    "0.bias": (256,),
    "2.weight": (256, 256),
    "2.bias": (256,),
    "4.weight": (784, 256),
    "4.bias": (784,),
}
DOCUMENTED["mlp-gan-mnist", "discriminator"] = {
    "0.weight": (256, 784),
    "0.bias": (256,),
    "2.weight": (256, 256),
    "2.bias": (256,),
    "4.weight": (1, 256),
    "4.bias": (1,),
}


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


def _block(name: str, weight: tuple[int, ...], outputs: int, norm: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Layer, activation, LayerNorm, as the chapter nests them."""
    return {f"{name}.0.weight": weight, f"{name}.0.bias": (outputs,), f"{name}.2.weight": norm, f"{name}.2.bias": norm}


_conv_g: dict[str, tuple[int, ...]] = {}
for _i, _a, _b, _kernel, _side in (
    (1, 16, 32, 5, 7),
    (2, 32, 32, 5, 7),
    (3, 32, 32, 5, 7),
    (4, 32, 16, 4, 14),
    (5, 16, 16, 5, 14),
    (6, 16, 16, 5, 14),
    (7, 16, 8, 4, 28),
    (8, 8, 8, 5, 28),
    (9, 8, 8, 5, 28),
):
    _order = (_a, _b) if _kernel == 4 else (_b, _a)
    _conv_g |= _block(str(_i), (*_order, _kernel, _kernel), _b, (_b, _side, _side))
_conv_d: dict[str, tuple[int, ...]] = {}
for _i, _a, _kernel, _side in (
    (0, 1, 5, 28),
    (1, 32, 5, 28),
    (3, 32, 5, 14),
    (4, 32, 5, 14),
    (6, 32, 3, 7),
    (7, 32, 3, 7),
):
    _conv_d |= _block(str(_i), (32, _a, _kernel, _kernel), 32, (32, _side, _side))
DOCUMENTED["idl-conv-wgan-gp-mnist", "generator"] = _conv_g | {"10.weight": (1, 8, 5, 5), "10.bias": (1,)}
DOCUMENTED["idl-conv-wgan-gp-mnist", "critic"] = _conv_d | {
    "10.weight": (256, 512),
    "10.bias": (256,),
    "12.weight": (1, 256),
    "12.bias": (1,),
}


def _wrapped(size: int, shape: tuple[int, ...], net: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {
        "label_embedding.weight": (10, size),
        **_block("combiner.1", (size, 2 * size), size, (size,)),
        "combiner.2.weight": (size, size),
        "combiner.2.bias": (size,),
        "combiner.5.weight": shape,
        "combiner.5.bias": shape,
        **{f"net.{name}": tensor for name, tensor in net.items()},
    }


DOCUMENTED["idl-cond-wgan-gp-mnist", "generator"] = _wrapped(128, (128,), _idl("0.", 128, (0, 1, 2), 3, 784))
DOCUMENTED["idl-cond-wgan-gp-mnist", "critic"] = _wrapped(784, (1, 28, 28), _idl("", 784, (1, 2, 3), 4, 1))


def _normed(name: str, weight: tuple[int, ...], width: int, *, bias: bool) -> dict[str, tuple[int, ...]]:
    """Convolution and BatchNorm, as document 002 nests them."""
    shapes: dict[str, tuple[int, ...]] = {f"{name}.0.weight": weight}
    if bias:
        shapes[f"{name}.0.bias"] = (width,)
    shapes |= {f"{name}.1.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {f"{name}.1.num_batches_tracked": ()}


_g, _d = {}, {}
for _i, (_a, _b) in enumerate(((100, 1024), (1024, 512), (512, 256), (256, 128), (128, 3))):
    _g |= _normed(f"gen.{_i}", (_a, _b, 4, 4), _b, bias=False)
for _i, (_a, _b) in enumerate(((3, 32), (32, 64), (64, 128), (128, 128))):
    _d |= _normed(f"disc.{_i}", (_b, _a, 4, 4), _b, bias=True)
DOCUMENTED["aniketmaurya-dcgan-celeba", "generator"] = _g
DOCUMENTED["aniketmaurya-dcgan-celeba", "discriminator"] = _d | {
    "disc.4.0.weight": (1, 128, 4, 4),
    "disc.4.0.bias": (1,),
}


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
