from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.utils import create_feature_extractor

from harness.data.mnist import Mnist, bundled_root
from harness.evaluation.extractors import train
from harness.evaluation.extractors.extractor import BUNDLED, load_extractor, weights_hash, weights_path
from harness.evaluation.extractors.networks import CelebaNet, FacesNet, MnistNet
from harness.evaluation.extractors.training_data import EXTRACTOR_DATA
from harness.files.cache import cache_folder
from harness.files.tensors import read_metadata
from harness.records.environment import CONVOLUTIONS, PRODUCTS, float32_precision
from tests.logs import progress

CPU = torch.device("cpu")
HASHES = {"mnistnet": "9587de94d39b", "celebanet": "974b02c28b58", "facesnet": "ab9d55ce18c8"}
SOME = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", HASHES)
def test_the_bundled_weights_are_those_that_figures_were_measured_with(name: str) -> None:
    assert weights_hash(load_file(BUNDLED / f"{name}.safetensors")) == HASHES[name]


def test_mnistnet_reads_the_bundled_digits() -> None:
    data = Mnist(bundled_root(), (1, 28, 28), (0.0, 1.0))
    _, logits = load_extractor("mnistnet", CPU)(data.images)
    assert float((logits.argmax(1) == data.labels).double().mean()) >= 0.995


def test_facesnet_reads_held_out_faces_as_well_as_it_says() -> None:
    extractor = load_extractor("facesnet", CPU)
    held_out = EXTRACTOR_DATA["facesnet"](None).held_out()
    with torch.no_grad():
        assert isinstance(extractor.module, FacesNet)
        outputs = extractor.module.head(extractor(held_out.images)[0])
    accuracy = float(((outputs > 0) == (held_out.targets > 0.5)).double().mean())
    assert extractor.accuracy == pytest.approx(accuracy, abs=1e-4)
    assert accuracy >= 0.99


def test_facesnet_tells_eight_kinds_whose_probabilities_add_up() -> None:
    logits = FacesNet.class_logits(torch.randn(6, 13))
    assert logits.shape == (6, len(FacesNet.CLASSES))
    assert torch.allclose(logits.exp().sum(1), torch.ones(6))
    glasses = torch.full((1, 13), -20.0)
    glasses[0, 5] = 20.0
    assert FacesNet.CLASSES[int(FacesNet.class_logits(glasses).argmax())] == "glasses, female, serious"


def test_celebanet_says_how_well_it_reads_each_attribute() -> None:
    extractor = load_extractor("celebanet", CPU)
    assert tuple(extractor.accuracies) == CelebaNet.READS
    mean = sum(extractor.accuracies.values()) / len(CelebaNet.READS)
    assert extractor.accuracy == pytest.approx(mean, abs=1e-4)
    assert (BUNDLED / "celebanet.safetensors").stat().st_size < 1_000_000


def test_celebanet_is_trained_on_nothing_else(tmp_path: Path) -> None:
    data = EXTRACTOR_DATA["celebanet"]
    with pytest.raises(ValueError, match=r"000001\.jpg to 020000\.jpg, and no data root holds none of them"):
        data(None).learn()
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    Image.new("RGB", (178, 218)).save(folder / "000001.jpg")
    with pytest.raises(ValueError, match="img_align_celeba holds others"):
        data(tmp_path).held_out()


def test_the_recipe_gives_the_same_bits_again() -> None:
    lesson = train.LabelledImages(SOME.repeat(30, 1, 1, 1), torch.arange(150) % 10)
    first, second = (train.train_extractor(MnistNet, lesson, lesson, 1) for _ in range(2))
    assert weights_hash(first.tensors) == weights_hash(second.tensors)


def test_without_the_weights_that_come_along_mnist_trains_an_extractor_once(
    mnist_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.evaluation.extractors.extractor.BUNDLED", Path("nowhere"))
    with pytest.raises(ValueError, match=r"takes MNIST as published, and .* holds IDX images, 40"):
        load_extractor("mnistnet", CPU, mnist_root)
    found = {split: Mnist(mnist_root, (784,), (0, 1), split).fingerprint[-16:] for split in ("train", "test")}
    monkeypatch.setattr("harness.data.mnist._PUBLISHED", found)
    with progress() as heard:
        first = load_extractor("mnistnet", CPU, mnist_root)
    assert "training mnistnet" in heard[0].what
    with progress() as heard:
        second = load_extractor("mnistnet", CPU, mnist_root)
    assert heard == []
    assert first.weights == second.weights != HASHES["mnistnet"]
    (kept,) = (cache_folder() / "extractors").glob("mnistnet-*")
    assert kept.name.endswith(first.weights)
    file = kept / "mnistnet.safetensors"
    metadata = read_metadata(file)
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file, metadata)
    with pytest.raises(ValueError, match="other weights than its folder's name says"):
        load_extractor("mnistnet", CPU, mnist_root)
    whole = file.read_bytes()
    for damaged in (b"cut", whole[:-100], b""):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="can't be read as weights"):
            load_extractor("mnistnet", CPU, mnist_root)


def test_mnistnet_comes_along_and_only_to_train_it_takes_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_extractor("mnistnet", CPU)
    assert (found.weights, found.trained_on) == (HASHES["mnistnet"], "MNIST")
    monkeypatch.setattr("harness.evaluation.extractors.extractor.BUNDLED", Path("nowhere"))
    monkeypatch.setenv("GAN_HARNESS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="takes MNIST as published, and no data root holds it"):
        load_extractor("mnistnet", CPU)
    with pytest.raises(ValueError, match=r"unknown extractor 'vgg'; there are: mnistnet"):
        load_extractor("vgg", CPU)
    with pytest.raises(ValueError, match="unknown extractor"):
        weights_path("inception")


def test_features_do_not_depend_on_the_batch_and_colour_is_read_as_grey() -> None:
    extractor = load_extractor("mnistnet", CPU)
    features, logits = extractor(SOME)
    alone, _ = extractor(SOME[2:3])
    assert torch.allclose(alone[0], features[2], atol=1e-5)
    assert torch.allclose(extractor(SOME.expand(-1, 3, -1, -1))[0], features, atol=1e-6)
    assert (features.shape, logits.shape) == ((5, 64), (5, 10))
    assert (features >= 0).all()


def test_an_extractor_in_training_mode_refuses_to_look() -> None:
    extractor = load_extractor("mnistnet", CPU)
    extractor.module.train()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        extractor(SOME)


def test_what_torch_fidelity_hands_over_is_checked() -> None:
    module = load_extractor("mnistnet", CPU).module
    with pytest.raises(ValueError, match="takes uint8 images"):
        module(torch.zeros(2, 3, 28, 28))
    with pytest.raises(ValueError, match="needs its weights"):
        create_feature_extractor("mnistnet", ["64"], cuda=False)


def test_inception_is_never_fetched_and_its_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="nothing is fetched"):
        load_extractor("inception", CPU)
    with pytest.raises(ValueError, match="isn't there; nothing is fetched"):
        load_extractor("inception", CPU, published=tmp_path / "none.pth")
    other = tmp_path / "weights.pth"
    torch.save({}, other)
    with pytest.raises(ValueError, match="its SHA-256 begins with"):
        load_extractor("inception", CPU, published=other)
    monkeypatch.setattr("harness.evaluation.extractors.published.sha256", lambda _: "6726825d")
    with pytest.raises(ValueError, match="doesn't hold the weights of inception"):
        load_extractor("inception", CPU, published=other)


def test_a_file_of_inceptions_layout_opens_through_torch_fidelity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published weights aren't to be had here: random ones of their layout, and the hash unasked."""
    torch.manual_seed(0)
    monkeypatch.setattr("torch.load", lambda *_, **__: {})
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_, **__: None)
    random = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path="-")
    monkeypatch.undo()
    file = tmp_path / "weights-inception.pth"
    torch.save(random.state_dict(), file)
    monkeypatch.setattr("harness.evaluation.extractors.published.sha256", lambda _: "6726825d")
    extractor = load_extractor("inception", CPU, published=file)
    features, logits = extractor(SOME[:2].expand(-1, 3, -1, -1))
    assert (features.shape, logits.shape) == ((2, 2048), (2, 1008))
    assert extractor.protocol()["extractor"].startswith("inception ")


def test_an_extractor_looks_in_full_float32_whatever_a_program_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a card cuDNN's convolutions are TF32 by default: features would be off by a thousandth, and FID with them."""
    extractor = load_extractor("mnistnet", CPU)
    features, _ = extractor(SOME)
    seen: list[tuple[dict[str, str], str]] = []

    def watched(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        backends: Any = torch.backends
        seen.append((float32_precision(CPU), backends.cudnn.conv.fp32_precision))
        return torch.zeros(len(images), 64), torch.zeros(len(images), 10)

    monkeypatch.setattr(extractor.module, "forward", watched)
    torch.set_float32_matmul_precision("medium")
    try:
        extractor(SOME)
        assert seen == [({CONVOLUTIONS: "ieee", PRODUCTS: "ieee"}, "ieee")]
        assert torch.get_float32_matmul_precision() == "medium", "and leaves the setting"
        monkeypatch.undo()
        assert torch.equal(extractor(SOME)[0], features)
    finally:
        torch.set_float32_matmul_precision("highest")
