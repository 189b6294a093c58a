"""Every network's forward pass against the same layers written out as arithmetic on its parameters.

This holds what shapes can't see: slopes of activations, the epsilon of normalisations, strides and paddings.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

import reference

State = dict[str, Tensor]


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def linear(x: Tensor, s: State, name: str) -> Tensor:
    return x @ s[f"{name}.weight"].T + s[f"{name}.bias"]


def layer_norm(x: Tensor, s: State, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * s[f"{name}.weight"] + s[f"{name}.bias"]


def batch_norm(x: Tensor, s: State, name: str) -> Tensor:
    centred = x - x.mean((0, 2, 3), keepdim=True)
    scaled = centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    return scaled * s[f"{name}.weight"].view(1, -1, 1, 1) + s[f"{name}.bias"].view(1, -1, 1, 1)


def mlp(x: Tensor, s: State) -> Tensor:
    return linear(leaky(linear(leaky(linear(x, s, "0")), s, "2")), s, "4")


def blocks(x: Tensor, s: State, names: list[str], last: str) -> Tensor:
    for name in names:
        x = layer_norm(leaky(linear(x, s, f"{name}.0")), s, f"{name}.2")
    return linear(x, s, last)


def dcgan_generator(x: Tensor, s: State) -> Tensor:
    for i in (0, 3, 6, 9):
        x = conv_transpose2d(x, s[f"main.{i}.weight"], stride=2 if i else 1, padding=1 if i else 0)
        x = batch_norm(x, s, f"main.{i + 1}").clamp(min=0)
    return conv_transpose2d(x, s["main.12.weight"], stride=2, padding=1).tanh()


def dcgan_discriminator(x: Tensor, s: State) -> Tensor:
    x = leaky(conv2d(x, s["main.0.weight"], stride=2, padding=1))
    for i in (2, 5, 8):
        x = leaky(batch_norm(conv2d(x, s[f"main.{i}.weight"], stride=2, padding=1), s, f"main.{i + 1}"))
    return conv2d(x, s["main.11.weight"]).sigmoid()


def idl(judge: str, nested: bool, shape: tuple[int, ...]) -> dict[str, object]:
    names, last = (["0.0", "0.1", "0.2"], "0.3") if nested else (["0", "1", "2"], "3")

    def generator(x: Tensor, s: State) -> Tensor:
        out = blocks(x, s, names, last)
        return (out.sigmoid() if nested else out).view(-1, *shape)

    return {"generator": generator, judge: lambda x, s: blocks(x.flatten(1), s, ["1", "2", "3"], "4")}


FORWARD: dict[str, dict[str, object]] = {
    "mlp-gan-mnist": {"generator": lambda x, s: mlp(x, s).tanh(), "discriminator": lambda x, s: mlp(x, s).sigmoid()},
    "handson-dcgan-mnist": {
        "generator": dcgan_generator,
        "discriminator": lambda x, s: dcgan_discriminator(x, s).flatten(),
    },
    "pytorch-dcgan-celeba": {"generator": dcgan_generator, "discriminator": dcgan_discriminator},
    "idl-gan-mnist": idl("discriminator", True, (28, 28)),
    "idl-gan-grid": idl("discriminator", False, (2,)),
    "idl-wgan-gp-grid": idl("critic", False, (2,)),
    "idl-wgan-gp-mnist": idl("critic", True, (1, 28, 28)),
}


def test_every_reference_is_written_out() -> None:
    assert set(FORWARD) == {name for name in reference.names() if not name.startswith(("toy-", "my-"))}


@pytest.mark.parametrize(("name", "role"), [(name, role) for name, roles in FORWARD.items() for role in roles])
def test_forward_equals_the_written_out_layers(name: str, role: str) -> None:
    chosen = reference.get(name)
    torch.manual_seed(0)
    network = chosen.networks()[role].double()
    for parameter in network.parameters():  # away from the initial ones and zeros, which hide mistakes
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    inputs = torch.randn(3, *chosen.card.networks[role].inputs[0], dtype=torch.float64)
    with torch.no_grad():
        expected = FORWARD[name][role](inputs, dict(network.state_dict()))  # type: ignore[operator]
        assert torch.allclose(network(inputs), expected, rtol=0, atol=1e-12)
