"""LPIPS (Zhang et al. 2018) as torch-fidelity computes it, with weights from files: VGG-16's and its own.

Importing torch-fidelity brings TorchDynamo and takes seconds: `perceptual` imports this when it is wanted.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.sample_similarity_base import SampleSimilarityBase
from torch_fidelity.sample_similarity_lpips import NetLinLayer, SampleSimilarityLPIPS
from torchvision.models.vgg import cfgs, make_layers

from harness.evaluation.extractors.published import LPIPS_FILE, VGG16_FILE, sha256
from harness.training.device import full_float32, numerics

_WIDTHS = (64, 128, 256, 512, 512)
_SLICES = (0, 4, 9, 16, 23, 30)  # of VGG-16's layers: each ends with the activation that is compared
_AT_ONCE = 50


class Lpips(SampleSimilarityLPIPS):  # type: ignore[misc]
    """torch-fidelity's LPIPS with the weights of a folder.

    Raises:
        ValueError: a file holds something else.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        SampleSimilarityBase.__init__(self, "lpips-vgg16")
        self.sample_similarity_resize = self.sample_similarity_dtype = None
        self.L, self.lins = len(_WIDTHS), []
        for number, width in enumerate(_WIDTHS):
            self.lins.append(NetLinLayer(width, use_dropout=True))
            self.add_module(f"lin{number}", self.lins[-1])
        _load(self, folder / LPIPS_FILE)
        features = make_layers(cfgs["D"])  # VGG-16's; its classifier, nine tenths of the file, plays no part
        _load(features, folder / VGG16_FILE, "features.")
        self.net = _Slices(features)
        self.name = "lpips-vgg16 " + " ".join(sha256(folder / file)[:12] for file in (LPIPS_FILE, VGG16_FILE))
        self.device = device
        self.requires_grad_(False)
        self.eval()
        self.to(device)

    @torch.no_grad()
    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        """Squared distances (n,) between images (n, 1 or 3, H, W), float values in [0, 1], on the CPU."""
        parts = []
        with numerics(self.device, deterministic=True, threads=None), full_float32():
            for pair in zip(torch.split(one, _AT_ONCE), torch.split(other, _AT_ONCE), strict=True):
                images = (255 * part.to(self.device).expand(-1, 3, -1, -1) for part in pair)
                parts.append(super().__call__(*images).reshape(-1).cpu())
        return torch.cat(parts)


class _Slices(nn.ModuleList):
    """The five activations that LPIPS compares, one after the other."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__(layers[start:end] for start, end in pairwise(_SLICES))

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for part in self:
            images = part(images)
            found.append(images)
        return found


def _load(module: nn.Module, file: Path, part: str = "") -> None:
    """The weights of a file, or those whose names begin with `part`, which the module's names don't."""
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
        module.load_state_dict({name.removeprefix(part): held[name] for name in held if name.startswith(part)})
    except Exception as error:
        raise ValueError(f"{file} doesn't hold what LPIPS needs: {' '.join(str(error).split())[:200]}") from error
