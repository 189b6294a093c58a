"""Every network's forward pass against the same layers written out as arithmetic on its parameters.

This holds what shapes can't see: slopes of activations, the epsilon of normalisations, strides and paddings.
"""

from __future__ import annotations

import math

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


def image_norm(x: Tensor, s: State, name: str) -> Tensor:
    """LayerNorm over (C, H, W)."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    scaled = centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    return scaled * s[f"{name}.weight"] + s[f"{name}.bias"]


def conv(x: Tensor, s: State, name: str, stride: int = 1, padding: int = 0) -> Tensor:
    return conv2d(x, s[f"{name}.weight"], s.get(f"{name}.bias"), stride, padding)


def conv_t(x: Tensor, s: State, name: str, stride: int = 2, padding: int = 1, extra: int = 0) -> Tensor:
    return conv_transpose2d(x, s[f"{name}.weight"], s.get(f"{name}.bias"), stride, padding, extra)


def pool(x: Tensor) -> Tensor:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def idl_conv_generator(x: Tensor, s: State, prefix: str = "", shift: int = 0) -> Tensor:
    x = x.reshape(-1, 16, 7, 7)
    for block in range(1, 10):
        name = f"{prefix}{shift + block}"
        x = conv_t(x, s, f"{name}.0") if block in (4, 7) else conv(x, s, f"{name}.0", padding=2)
        x = image_norm(leaky(x), s, f"{name}.2")
    return conv(x, s, f"{prefix}{shift + 10}", padding=2).sigmoid()


def idl_conv_critic(x: Tensor, s: State, prefix: str = "") -> Tensor:
    for block in (0, 1, 3, 4, 6, 7):
        x = pool(x) if block in (3, 6) else x
        x = image_norm(leaky(conv(x, s, f"{prefix}{block}.0", padding=1 if block > 5 else 2)), s, f"{prefix}{block}.2")
    # Four bins over seven places: 0-1, 1-3, 3-5, 5-6.
    bins = ((0, 2), (1, 4), (3, 6), (5, 7))
    pooled = [x[..., top:end, left:stop].mean((2, 3)) for top, end in bins for left, stop in bins]
    flat = torch.stack(pooled, dim=2).flatten(1)
    return linear(leaky(linear(flat, s, f"{prefix}10")), s, f"{prefix}12")


def stem(x: Tensor, s: State) -> Tensor:
    for block in (0, 1):
        x = layer_norm(leaky(linear(x, s, f"{block}.0")), s, f"{block}.2")
    return idl_conv_generator(x, s, shift=2)


def flat_wrapper(x: Tensor, labels: Tensor, s: State) -> Tensor:
    both = torch.cat([x.flatten(1), s["label_embedding.weight"][labels]], 1)
    x = layer_norm(leaky(linear(both, s, "combiner.1.0")), s, "combiner.1.2")
    x = leaky(linear(x, s, "combiner.2"))
    centred = x - x.mean(1, keepdim=True)
    scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return scaled * s["combiner.5.weight"].flatten() + s["combiner.5.bias"].flatten()


def image_wrapper(x: Tensor, labels: Tensor, s: State, channels: int, side: int) -> Tensor:
    embedded = s["label_embedding.weight"][labels].reshape(-1, channels, side, side)
    x = torch.cat([x.reshape(-1, channels, side, side), embedded], 1)
    x = image_norm(leaky(conv(x, s, "combiner.0.0", padding=2)), s, "combiner.0.2")
    return image_norm(leaky(conv(x, s, "combiner.1", padding=2)), s, "combiner.3")


def encoder(x: Tensor, s: State) -> Tensor:
    return blocks(x.flatten(1), s, ["1", "2", "3"], "4")


def unet(x: Tensor, s: State, prefix: str) -> Tensor:
    def two(x: Tensor, name: str) -> Tensor:
        for i in (0, 1):
            x = leaky(batch_norm(conv(x, s, f"{name}.{i}.0", padding=1), s, f"{name}.{i}.1"))
        return x

    def largest(x: Tensor) -> Tensor:
        return torch.maximum(
            torch.maximum(x[..., ::2, ::2], x[..., 1::2, ::2]), torch.maximum(x[..., ::2, 1::2], x[..., 1::2, 1::2])
        )

    inner = f"{prefix}inner.1."
    outer = two(x, f"{prefix}entering")
    middle = two(largest(outer), f"{inner}entering")
    deep = two(two(largest(middle), f"{inner}inner.1.entering"), f"{inner}inner.1.leaving")
    risen = conv_t(deep, s, f"{inner}inner.2", extra=1)
    middle = two(torch.cat([middle, risen], 1), f"{inner}leaving")
    outer = two(torch.cat([outer, conv_t(middle, s, f"{prefix}inner.2", extra=1)], 1), f"{prefix}leaving")
    return conv(outer, s, f"{prefix}last")


def latent_unet(x: Tensor, z: Tensor, s: State) -> Tensor:
    plane = linear(z, s, "plane.0").reshape(-1, 1, 28, 28)
    return unet(torch.cat([x, plane], 1), s, "unet.").sigmoid()


def tutorial_generator(x: Tensor, s: State) -> Tensor:
    for i in range(5):
        x = batch_norm(conv_t(x, s, f"gen.{i}.0", 2 if i else 1, 1 if i else 0), s, f"gen.{i}.1")
        x = x.tanh() if i == 4 else x.clamp(min=0)
    return x


def tutorial_discriminator(x: Tensor, s: State) -> Tensor:
    for i, stride in enumerate((2, 2, 1, 2)):
        x = leaky(batch_norm(conv(x, s, f"disc.{i}.0", stride), s, f"disc.{i}.1"))
    return conv(x, s, "disc.4.0", 2).flatten(1)


def pix2pix_generator(x: Tensor, s: State) -> Tensor:
    """Five levels: 32 → 16 → 8 → 4 → 2 → 1 and back."""
    skipped = []
    for level in range(5):
        x = conv(x, s, f"down.{level}.0", 2, 1)
        x = leaky(batch_norm(x, s, f"down.{level}.1") if 0 < level < 4 else x)
        skipped.append(x)
    x = skipped.pop()
    for place in range(4):
        x = batch_norm(conv_t(x, s, f"up.{place}.0"), s, f"up.{place}.1").clamp(min=0)
        x = torch.cat([x, skipped.pop()], 1)
    return conv_t(x, s, "up.4.0").tanh()


def pix2pix_discriminator(condition: Tensor, image: Tensor, s: State) -> Tensor:
    x = leaky(conv(torch.cat([condition, image], 1), s, "patches.0", 2, 1))
    for i, stride in ((2, 2), (5, 2), (8, 1)):
        x = leaky(batch_norm(conv(x, s, f"patches.{i}", stride, 1), s, f"patches.{i + 1}"))
    return conv(x, s, "patches.11", 1, 1)


def equalised(x: Tensor, s: State, name: str) -> Tensor:
    """A layer on normal weights, its output and with it the bias times He's constant."""
    weight, bias = s[f"{name}.module.weight"], s[f"{name}.module.bias"]
    scale = math.sqrt(2 / weight[0].numel())
    if weight.dim() == 2:
        return (x @ weight.T + bias) * scale
    return conv2d(x, weight, bias, padding=weight.shape[-1] // 2) * scale


def unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def twice(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def progressive_generator(x: Tensor, s: State) -> Tensor:
    x = unit(leaky(equalised(unit(x), s, "formatLayer")).reshape(len(x), -1, 4, 4))
    x = unit(leaky(equalised(x, s, "groupScale0.0")))
    for level in (0, 1):
        x = twice(x)
        for i in (0, 1):
            x = unit(leaky(equalised(x, s, f"scaleLayers.{level}.{i}")))
    return equalised(x, s, "toRGBLayers.2")


def progressive_critic(x: Tensor, s: State) -> Tensor:
    x = leaky(equalised(x, s, "fromRGBLayers.2"))
    for level in (1, 0):
        for i in (0, 1):
            x = leaky(equalised(x, s, f"scaleLayers.{level}.{i}"))
        x = pool(x)
    # Three samples are one group: the spread of each value over them, averaged, is the same for all.
    spread = (((x - x.mean(0)).square().sum(0) / 2) + 1e-8).sqrt().mean()
    x = torch.cat([x, spread.expand(len(x), 1, 4, 4)], 1)
    x = leaky(equalised(x, s, "groupScaleZero.0"))
    x = leaky(equalised(x.flatten(1), s, "groupScaleZero.1"))
    return equalised(x, s, "decisionLayer")


def vgg19(x: Tensor, s: State) -> Tensor:
    mean, deviation = (torch.tensor(v).double().view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = (x - mean.float().double()) / deviation.float().double()
    for index in (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28):
        x = pool(x) if index in (5, 10, 19, 28) else x
        x = conv(x, s, f"layers.{index}", padding=1).clamp(min=0)
    return x


_UNET4: dict[str, object] = {"generator": lambda x, s: unet(x, s, "0.").sigmoid(), "critic": idl_conv_critic}

FORWARD: dict[str, dict[str, object]] = {
    "mlp-gan-mnist": {"generator": lambda x, s: mlp(x, s).tanh(), "discriminator": lambda x, s: mlp(x, s).sigmoid()},
    **{
        f"handson-dcgan-{data}": {
            "generator": dcgan_generator,
            "discriminator": lambda x, s: dcgan_discriminator(x, s).flatten(),
        }
        for data in ("mnist", "celeba", "lsun")
    },
    "pytorch-dcgan-celeba": {"generator": dcgan_generator, "discriminator": dcgan_discriminator},
    "aniketmaurya-dcgan-celeba": {"generator": tutorial_generator, "discriminator": tutorial_discriminator},
    "idl-gan-mnist": idl("discriminator", True, (28, 28)),
    "idl-gan-grid": idl("discriminator", False, (2,)),
    "idl-wgan-gp-grid": idl("critic", False, (2,)),
    "idl-wgan-gp-mnist": idl("critic", True, (1, 28, 28)),
    "idl-conv-wgan-gp-mnist": {"generator": idl_conv_generator, "critic": idl_conv_critic},
    "idl-cond-wgan-gp-mnist": {
        "generator": lambda x, y, s: (
            blocks(flat_wrapper(x, y, s), s, ["net.0.0", "net.0.1", "net.0.2"], "net.0.3").sigmoid().view(-1, 1, 28, 28)
        ),
        "critic": lambda x, y, s: blocks(flat_wrapper(x, y, s), s, ["net.1", "net.2", "net.3"], "net.4"),
    },
    "idl-ex1-fc-stem-wgan-gp-mnist": {"generator": stem, "critic": idl_conv_critic},
    "idl-ex2-cond-conv-wgan-gp-mnist": {
        "generator": lambda x, y, s: idl_conv_generator(image_wrapper(x, y, s, 16, 7), s, "net."),
        "critic": lambda x, y, s: idl_conv_critic(image_wrapper(x, y, s, 1, 28), s, "net."),
    },
    "idl-ex3-encoder-wgan-gp-mnist": {**idl("critic", True, (1, 28, 28)), "encoder": encoder},
    "idl-ex4-inpainting-unet-mnist": _UNET4,
    "idl-ex5-inpainting-unet-latent-mnist": {"generator": latent_unet, "critic": idl_conv_critic},
    "idl-ex6-pix2pix@size=32,width=4": {"generator": pix2pix_generator, "discriminator": pix2pix_discriminator},
    "idl-pgan-celebahq512@resolution=16,width=32": {"generator": progressive_generator, "critic": progressive_critic},
    "style-transfer@size=32": {"features": vgg19},
}


def test_every_reference_is_written_out() -> None:
    written = {spec.partition("@")[0] for spec in FORWARD}
    assert written == {name for name in reference.names() if not name.startswith(("toy-", "my-"))}


@pytest.mark.parametrize(("spec", "role"), [(spec, role) for spec, roles in FORWARD.items() for role in roles])
def test_forward_equals_the_written_out_layers(spec: str, role: str) -> None:
    chosen = reference.get(spec)
    torch.manual_seed(0)
    network = chosen.networks()[role].double()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    for parameter in network.parameters():  # away from the initial ones and zeros, which hide mistakes
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    card = chosen.card.networks[role]
    inputs = [torch.randn(3, *shape, dtype=torch.float64) for shape in card.inputs]
    if card.classes:
        inputs.append(torch.tensor([3, 0, 9]))
    with torch.no_grad():
        expected = FORWARD[spec][role](*inputs, dict(network.state_dict()))  # type: ignore[operator]
        assert torch.allclose(network(*inputs), expected, rtol=1e-11, atol=1e-11)
