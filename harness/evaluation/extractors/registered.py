"""The harness's own extractors in torch-fidelity's registry, and DINOv2 in torch-fidelity's extractor, from a file.

After `import harness.evaluation.extractors.registered`, `torch_fidelity.calculate_metrics(feature_extractor="mnistnet",
feature_extractor_weights_path=…)` gives the figures that the harness gives. Importing torch-fidelity brings TorchDynamo
and takes seconds, so that nothing else imports this module before something is to be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from harness.evaluation.extractors.dinov2 import SIZES, VisionTransformer
from harness.evaluation.extractors.networks import EXTRACTORS, SmallExtractor

FEATURES, LOGITS = "64", "logits"


class RegisteredExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """One of the harness's own as torch-fidelity calls it."""

    NETWORK: ClassVar[type[SmallExtractor]]

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | Path | None = None,
        **_: Any,
    ) -> None:
        super().__init__(name, list(features_list))
        if feature_extractor_weights_path is None:
            raise ValueError(f"{name} needs its weights: feature_extractor_weights_path isn't given")
        self.network = self.NETWORK(Path(feature_extractor_weights_path))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The layers asked for, in the order in which they were asked for."""
        found = dict(zip((FEATURES, LOGITS), self.network(images), strict=True))
        return tuple(found[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return FEATURES, LOGITS

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return LOGITS if metric == "isc" else FEATURES

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 32, 32, dtype=torch.uint8)


for _name, _network in EXTRACTORS.items():
    if _name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(
            _name, type(f"Registered{_network.__name__}", (RegisteredExtractor,), {"NETWORK": _network})
        )


class DinoV2OfFile(FeatureExtractorDinoV2):  # type: ignore[misc]
    """torch-fidelity's extractor with weights from `file`: uint8 images (N, 3, H, W) to features (N, dimension).

    Its own takes the network's code from the net by way of torch.hub, and refuses a file; how an image is resized and
    normalised stays its own.

    Raises:
        RuntimeError: the file's tensors don't fit.
    """

    def __init__(self, name: str, features_list: Sequence[str], file: Path) -> None:
        FeatureExtractorBase.__init__(self, name, list(features_list))
        self.feature_extractor_internal_dtype = torch.float32
        with torch.device("meta"):  # no values are drawn that the file's then replace
            self.model = VisionTransformer(SIZES[name])
        self.model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True), assign=True)
        self.requires_grad_(False)
        self.eval()
