from __future__ import annotations

from pathlib import Path

import pytest
import torch

import reference
from harness.cache import cache_folder
from harness.data import open_dataset
from harness.evaluation import generated
from harness.evaluation.evaluated import evaluate_sampler, extractor_name, image_shape
from harness.evaluation.extractors.opened import Extractor, open_extractor
from harness.evaluation.features import real_features
from harness.evaluation.generated import generate, sampling_batch, uses_batch_statistics
from harness.evaluation.sampler import Sampler
from harness.training.restore import untrained_run

CPU = torch.device("cpu")


def sampler(spec: str, seed: int = 0) -> Sampler:
    run = untrained_run(spec, CPU)
    return Sampler(run.reference, run.networks, CPU, seed)


def test_samples_follow_from_the_seed_alone_and_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "_BATCH", 8)
    data = open_dataset(reference.get("handson-dcgan-mnist").card, None)
    one = sampler("handson-dcgan-mnist")
    before = {name: tensor.clone() for name, tensor in one.networks["generator"].state_dict().items()}
    state = torch.random.get_rng_state()
    first = generate(one, 8, data)
    assert torch.equal(first, generate(one, 8, data))
    assert not torch.equal(first, generate(sampler("handson-dcgan-mnist", seed=1), 8, data))
    running = generate(one, 8, data, running=True)
    assert not torch.equal(first, running)
    assert all(torch.equal(before[name], tensor) for name, tensor in one.networks["generator"].state_dict().items())
    assert all(part.training for part in one.networks["generator"].modules())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_more_samples_begin_with_the_same_ones() -> None:
    """Whole batches are drawn, so that the last one is normalised like the others."""
    data = open_dataset(reference.get("mlp-gan-mnist").card, None)
    one = sampler("mlp-gan-mnist")
    assert torch.equal(generate(one, 200, data)[:70], generate(one, 70, data))


@pytest.mark.parametrize(
    ("spec", "batch"), [("mlp-gan-mnist", 128), ("idl-ex6-pix2pix", 21), ("idl-pgan-celebahq512", 5)]
)
def test_large_images_are_drawn_in_smaller_batches(spec: str, batch: int) -> None:
    assert sampling_batch(reference.get(spec).card) == batch


@pytest.mark.parametrize(("spec", "both"), [("handson-dcgan-mnist", True), ("idl-gan-mnist", False)])
def test_only_batch_normalisation_has_two_ways(spec: str, both: bool) -> None:
    assert uses_batch_statistics(sampler(spec).networks) is both


@pytest.fixture(scope="module")
def digitsnet() -> Extractor:
    return open_extractor("digitsnet", CPU)


def test_real_features_are_computed_once(digitsnet: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_HARNESS_CACHE", str(tmp_path))  # others must not find what is damaged here
    card = reference.get("mlp-gan-mnist").card
    data = open_dataset(card, None)
    heard: list[str] = []
    first = real_features(data, image_shape(card), card.data_range, digitsnet, heard.append)
    assert "digitsnet looks at" in heard[0]
    heard.clear()
    again = real_features(data, image_shape(card), card.data_range, digitsnet, heard.append)
    assert heard == []
    assert torch.equal(first.features, again.features)
    # The same digits in another arrangement and range are the same images.
    other = reference.get("idl-gan-mnist").card
    same = real_features(open_dataset(other, None), image_shape(other), other.data_range, digitsnet)
    assert torch.equal(first.features, same.features)
    for file in (cache_folder() / "features").glob("*/features.safetensors"):
        file.write_bytes(b"cut")
    with pytest.raises(ValueError, match="damaged features"):
        real_features(data, image_shape(card), card.data_range, digitsnet)


def test_both_uses_of_batch_normalisation_are_rows_and_only_the_documented_one_is_tested(digitsnet: Extractor) -> None:
    one = sampler("handson-dcgan-mnist")
    data = open_dataset(one.reference.card, None)
    found = {value.metric: value for value in evaluate_sampler(one, data, 70, digitsnet)}
    assert found["fid_digitsnet_70"].protocol["batch norm"] == "batch statistics"
    assert found["fid_digitsnet_70_running"].protocol["batch norm"] == "running statistics"
    assert found["fid_digitsnet_70"].headline
    assert not found["fid_digitsnet_70_running"].headline
    assert found["fid_digitsnet_70"].measured.value != found["fid_digitsnet_70_running"].measured.value


@pytest.mark.parametrize(
    ("spec", "real", "name"),
    [
        ("mlp-gan-mnist", True, "mnistnet"),
        ("mlp-gan-mnist", False, "digitsnet"),
        ("handson-dcgan-lsun", False, "facesnet"),
    ],
)
def test_the_extractor_fits_the_data(spec: str, real: bool, name: str) -> None:
    assert extractor_name(reference.get(spec).card, real, None) == name


def test_no_extractor_for_real_faces_without_weights_and_none_for_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="nothing is fetched"):
        extractor_name(reference.get("handson-dcgan-celeba").card, True, None)
    with pytest.raises(ValueError, match="measured on sets of images"):
        extractor_name(reference.get("idl-gan-grid").card, True, None)
