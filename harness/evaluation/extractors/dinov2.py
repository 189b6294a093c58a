"""DINOv2's network (Oquab et al. 2023), with the published names of its parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention

_PATCH = 14
_TRAINED_SIDE = 37  # patches along an image of 518 pixels, for which the positions were learned
_OFFSET = 0.1  # what the published code adds to the number of patches before it scales the positions


@dataclass(frozen=True)
class Size:
    """Of a vision transformer: the length of a token, blocks, heads of each block's attention."""

    dimension: int
    blocks: int
    heads: int


SIZES = {
    "dinov2-vit-s-14": Size(384, 12, 6),
    "dinov2-vit-b-14": Size(768, 12, 12),
    "dinov2-vit-l-14": Size(1024, 24, 16),
}


class VisionTransformer(nn.Module):
    """Images (N, 3, H, W), H and W multiples of 14, to the last class token (N, dimension)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.dimension))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _TRAINED_SIDE**2, size.dimension))
        self.mask_token = nn.Parameter(torch.zeros(1, size.dimension))  # of training; it comes with the weights
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, size.dimension, _PATCH, stride=_PATCH)})
        self.blocks = nn.ModuleList([_Block(size) for _ in range(size.blocks)])
        self.norm = nn.LayerNorm(size.dimension, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embed["proj"](images)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).mT], dim=1)
        tokens = tokens + self._positions(*patches.shape[2:])
        for block in self.blocks:
            tokens = block(tokens)
        last: Tensor = self.norm(tokens)[:, 0]
        return last

    def _positions(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows · columns, dimension): those learned on 37×37 patches, drawn out to as many as there are."""
        if rows == columns == _TRAINED_SIDE:
            return self.pos_embed
        learned = self.pos_embed[:, 1:].mT.reshape(1, -1, _TRAINED_SIDE, _TRAINED_SIDE)
        scale = [(count + _OFFSET) / _TRAINED_SIDE for count in (rows, columns)]
        drawn = interpolate(learned, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], drawn.flatten(2).mT], dim=1)


class _Block(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.dimension
        self.heads = size.heads
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls1, self.ls2 = (nn.ParameterDict({"gamma": nn.Parameter(torch.ones(width))}) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1["gamma"] * self._attended(self.norm1(tokens))
        widened = gelu(self.mlp["fc1"](self.norm2(tokens)))
        changed: Tensor = tokens + self.ls2["gamma"] * self.mlp["fc2"](widened)
        return changed

    def _attended(self, tokens: Tensor) -> Tensor:
        shape = (*tokens.shape[:2], 3, self.heads, -1)
        parts = self.attn["qkv"](tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        made: Tensor = self.attn["proj"](found)
        return made
