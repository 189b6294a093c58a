"""DINOv2's network where its arithmetic is known, and torch-fidelity's own way of preparing images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from harness.evaluation.extractors.dinov2 import SIZES, Size, VisionTransformer
from harness.evaluation.extractors.registered import DinoV2OfFile

TINY = Size(12, 2, 3)


def drawn(network: VisionTransformer, scale: float = 0.2) -> VisionTransformer:
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return network.eval()


@torch.no_grad()
def by_torchs_encoder(network: Any, tokens: Tensor) -> Tensor:
    """The same blocks by PyTorch's own attention, one at a time."""
    width = tokens.shape[2]
    for block in network.blocks:
        attention = nn.MultiheadAttention(width, TINY.heads, batch_first=True)
        attention.in_proj_weight.data, attention.in_proj_bias.data = block.attn["qkv"].weight, block.attn["qkv"].bias
        attention.out_proj.load_state_dict(block.attn["proj"].state_dict())
        normed = block.norm1(tokens)
        tokens = tokens + attention(normed, normed, normed, need_weights=False)[0] * block.ls1["gamma"]
        wide = nn.functional.gelu(block.mlp["fc1"](block.norm2(tokens)))
        tokens = tokens + block.mlp["fc2"](wide) * block.ls2["gamma"]
    last: Tensor = network.norm(tokens)[:, 0]
    return last


def test_the_blocks_are_those_of_a_vision_transformer_with_layer_scale() -> None:
    network = drawn(VisionTransformer(TINY))
    images = torch.randn(2, 3, 518, 518, generator=torch.Generator().manual_seed(1))
    patches = network.patch_embed["proj"](images).flatten(2).transpose(1, 2)
    tokens = torch.cat([network.cls_token.expand(2, -1, -1), patches], 1) + network.pos_embed
    assert torch.allclose(network(images), by_torchs_encoder(network, tokens), atol=1e-5)


def test_positions_are_drawn_out_as_the_published_code_does() -> None:
    """By the factor 16.1 / 37, not 16 / 37: the values differ, and with them every feature."""
    network = drawn(VisionTransformer(TINY))
    learned = network.pos_embed[:, 1:].reshape(1, 37, 37, 12).permute(0, 3, 1, 2)
    expected = interpolate(learned, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    other = interpolate(learned, (16, 16), mode="bicubic")
    found = network._positions(16, 16)
    assert torch.equal(found[:, 1:], expected.permute(0, 2, 3, 1).reshape(1, 256, 12))
    assert torch.equal(found[:, :1], network.pos_embed[:, :1])
    assert not torch.allclose(expected, other)


@pytest.mark.slow
def test_a_file_in_the_published_layout_opens(tmp_path: Path) -> None:
    """The published weights aren't to be had here: drawn ones, under the names that they have."""
    network = VisionTransformer(SIZES["dinov2-vit-s-14"])
    names = network.state_dict()
    assert sum(values.numel() for values in names.values()) == 22_056_576
    blocks = {re.sub(r"blocks\.\d+", "blocks.N", name) for name in names}
    assert len(names) == 5 + 14 * 12 + 2
    assert {"cls_token", "pos_embed", "mask_token", "patch_embed.proj.weight", "blocks.N.ls1.gamma"} <= blocks
    torch.save(names, tmp_path / "dinov2_vits14_pretrain.pth")
    extractor = DinoV2OfFile("dinov2-vit-s-14", ["dinov2"], tmp_path / "dinov2_vits14_pretrain.pth")
    (features,) = extractor(torch.randint(0, 256, (2, 3, 28, 28), dtype=torch.uint8))
    assert features.shape == (2, 384)
    torch.save({}, tmp_path / "other.pth")
    with pytest.raises(RuntimeError, match="Missing key"):
        DinoV2OfFile("dinov2-vit-s-14", ["dinov2"], tmp_path / "other.pth")
