from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import reference
from harness.data import open_dataset
from harness.data.mnist import BUNDLED_TITLE
from harness.data.synthetic import DATABASE_TITLE
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.features import real_features
from harness.evaluation.generate import by_their_batch, generate, sampling_batch
from harness.evaluation.protocol import evaluate_sampler, extractor_names, image_shape
from harness.files.cache import cache_folder
from harness.records.metrics import series
from harness.records.record import is_headline
from harness.training.load_run import untrained_run
from harness.training.sampler import Sampler
from reference import Batch, Noise
from tests.logs import progress

CPU = torch.device("cpu")


def sampler(spec: str, seed: int = 0) -> Sampler:
    run = untrained_run(spec, CPU)
    return Sampler(run.reference, run.networks, CPU, seed)


def test_samples_follow_from_the_seed_alone_and_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.evaluation.generate._BATCH", 8)
    data = open_dataset(reference.get("handson-dcgan-mnist").card, None)
    one = sampler("handson-dcgan-mnist")
    before = {name: tensor.clone() for name, tensor in one.networks["generator"].state_dict().items()}
    state = torch.random.get_rng_state()
    first = generate(one, 8, data)
    assert torch.equal(first, generate(one, 8, data))
    assert not torch.equal(first, generate(sampler("handson-dcgan-mnist", seed=1), 8, data))
    running = generate(one, 8, data, running=frozenset({"generator"}))
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
    data = open_dataset(reference.get(spec).card, None)
    assert by_their_batch(sampler(spec), data) == ({"generator"} if both else set())


class Averaged:
    """A reference that is sampled from an average of its generator, as `sampled` says with which networks."""

    def __init__(self, sampled: Callable[[Mapping[str, nn.Module], Tensor], Tensor]) -> None:
        self.card = reference.get("handson-dcgan-mnist").card
        self._sampled = sampled

    def sample(self, networks: Mapping[str, nn.Module], n: int, noise: Noise, *_: Tensor | None) -> Tensor:
        return self._sampled(networks, noise.normal(n, 100, 1, 1))

    def sampler(self) -> Sampler:
        networks = untrained_run("handson-dcgan-mnist", CPU).networks
        networks["ema"] = copy.deepcopy(networks["generator"])
        return Sampler(self, networks, CPU, 0)  # type: ignore[arg-type]


def in_evaluation_mode(networks: Mapping[str, nn.Module], latents: Tensor) -> Tensor:
    made: Tensor = networks["ema"].eval()(latents)
    return made


SAMPLED: dict[str, tuple[Callable[[Mapping[str, nn.Module], Tensor], Tensor], set[str]]] = {
    "average": (lambda networks, latents: networks["ema"](latents), {"ema"}),
    "both": (
        lambda networks, latents: (networks["ema"](latents) + networks["generator"](latents)) / 2,
        {"ema", "generator"},
    ),
    "evaluated": (in_evaluation_mode, set()),
    "trained anyway": (lambda networks, latents: networks["ema"].train()(latents), set()),
    "constant": (lambda _, latents: torch.zeros(len(latents), 1, 64, 64), set()),
}


@pytest.mark.parametrize("how", SAMPLED)
def test_what_sample_calls_decides_which_network_is_in_evaluation_mode(how: str) -> None:
    sampled, roles = SAMPLED[how]
    one = Averaged(sampled).sampler()
    data = open_dataset(one.reference.card, None)
    found = by_their_batch(one, data)
    assert found == roles
    if roles:
        assert not torch.equal(generate(one, 8, data), generate(one, 8, data, running=found))


@pytest.fixture(scope="module")
def mnistnet() -> Extractor:
    return load_extractor("mnistnet", CPU)


def test_real_features_are_computed_once(mnistnet: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_HARNESS_CACHE", str(tmp_path))  # others must not find what is damaged here
    card = reference.get("mlp-gan-mnist").card
    data = open_dataset(card, None)
    with progress() as heard:
        first = real_features(data, image_shape(card), card.data_range, mnistnet)
    assert "mnistnet looks at" in heard[0].what
    assert heard[-1].done == heard[-1].total == len(data)
    with progress() as heard:
        again = real_features(data, image_shape(card), card.data_range, mnistnet)
    assert heard == []
    assert torch.equal(first.features, again.features)
    # The same digits in another arrangement and range are the same images.
    other = reference.get("idl-gan-mnist").card
    same = real_features(open_dataset(other, None), image_shape(other), other.data_range, mnistnet)
    assert torch.equal(first.features, same.features)
    for file in (cache_folder() / "features").glob("*/features.safetensors"):
        file.write_bytes(b"cut")
    with pytest.raises(ValueError, match="damaged features"):
        real_features(data, image_shape(card), card.data_range, mnistnet)


def test_both_uses_of_batch_normalisation_are_rows_and_only_the_documented_one_is_tested(mnistnet: Extractor) -> None:
    one = sampler("handson-dcgan-mnist")
    data = open_dataset(one.reference.card, None)
    found = {series(v.metric.name, v.protocol): v for v in evaluate_sampler(one, data, 70, mnistnet)}
    documented, running = found["fid"], found["fid [statistics running]"]
    assert documented.protocol["batch norm"] == "batch statistics"
    assert running.protocol["batch norm"] == "running statistics"
    assert is_headline(documented.metric, documented.protocol)
    assert not is_headline(running.metric, running.protocol)
    assert documented.value != running.value


@dataclass
class Titled:
    """A data set of which only what it is called plays a part."""

    title: str
    real: bool
    complete = in_memory = True
    fingerprint = "x"

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, indices: Tensor) -> Batch:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("spec", "title", "real", "name"),
    [
        ("mlp-gan-mnist", "MNIST", True, "mnistnet"),
        ("mlp-gan-mnist", BUNDLED_TITLE, True, "mnistnet"),
        ("handson-dcgan-lsun", DATABASE_TITLE, False, "facesnet"),
        ("handson-dcgan-celeba", "CelebA, 9 of 202,599", True, "celebanet"),
    ],
)
def test_the_extractor_fits_the_data(spec: str, title: str, real: bool, name: str) -> None:
    assert extractor_names(reference.get(spec).card, Titled(title, real), None) == [name]


@pytest.mark.parametrize(
    ("spec", "title"),
    [("mlp-gan-mnist", "IDX images, 2,000"), ("handson-dcgan-celeba", "202,600 pictures in the place of CelebA")],
)
def test_nothing_was_trained_on_what_nobody_knows(spec: str, title: str) -> None:
    with pytest.raises(ValueError, match=f"no extractor was trained on {title}: --extractor NAME --any-data lets one"):
        extractor_names(reference.get(spec).card, Titled(title, real=False), None)


def test_inception_looks_beside_the_harness_own_where_its_weights_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.evaluation.protocol.published_file", lambda _, given: given)
    card = reference.get("handson-dcgan-celeba").card
    assert extractor_names(card, Titled("CelebA", real=True), Path("weights")) == ["celebanet", "inception"]


def test_no_extractor_for_real_rooms_without_weights_and_none_for_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match="nothing is fetched"):
        extractor_names(reference.get("handson-dcgan-lsun").card, Titled("LSUN, 9 of 3,033,042", real=True), None)
    with pytest.raises(ValueError, match="measured on sets of images"):
        extractor_names(reference.get("idl-gan-grid").card, Titled("grid", real=True), None)
