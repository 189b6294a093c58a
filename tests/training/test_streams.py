from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.training.device import numerics, resolve_device
from harness.training.streams import GeneratorNoise, Streams, sampling

CPU = torch.device("cpu")


def test_streams_of_one_seed_and_of_neighbouring_seeds_differ() -> None:
    states = [
        stream.initial_seed()
        for seed in (0, 1)
        for s in [Streams(seed, CPU)]
        for stream in (s.initialisation, s.order, s.noise, s.evaluation)
    ]
    assert len(set(states)) == 8


def test_global_state_is_left_as_it_was_found() -> None:
    before = torch.random.get_rng_state()
    streams = Streams(0, CPU)
    with streams.initialising():
        first = torch.randn(3)
    with streams.implicit():
        torch.randn(3)
        GeneratorNoise(streams.noise).normal(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    with streams.initialising():
        second = torch.randn(3)
    assert not torch.equal(first, second), "the initialisation stream goes on"
    with Streams(0, CPU).initialising():
        assert torch.equal(torch.randn(3), first)


def test_fixed_noise_is_the_same_at_every_call() -> None:
    streams = Streams(0, CPU)
    assert torch.equal(streams.fixed_noise().normal(4), streams.fixed_noise().normal(4))


def test_states_restore_every_stream() -> None:
    streams = Streams(0, CPU)
    noise = GeneratorNoise(streams.noise)
    with streams.implicit():
        saved = {name: state.clone() for name, state in streams.states().items()}
        expected = (noise.normal(2), noise.uniform(2), noise.integers(9, 4), torch.randn(2))
        streams.restore(saved)
        again = (noise.normal(2), noise.uniform(2), noise.integers(9, 4), torch.randn(2))
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_sampling_leaves_no_trace() -> None:
    networks: dict[str, nn.Module] = {"generator": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))}
    before = {k: v.clone() for k, v in networks["generator"].state_dict().items()}
    random = torch.random.get_rng_state()
    with sampling(networks, CPU, 0):
        samples = networks["generator"](torch.randn(8, 2))
    assert not samples.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in networks["generator"].state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    networks["generator"](torch.randn(8, 2))
    assert networks["generator"].state_dict()["1.num_batches_tracked"] == 1, "training tracks statistics again"


def test_sampling_puts_back_what_spectral_normalisation_moves() -> None:
    network = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with sampling({"generator": network}, CPU, 0):
        network(torch.randn(2, 4))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_sampling_uses_batch_statistics_in_training_mode() -> None:
    norm = nn.BatchNorm1d(2, affine=False)
    with sampling({"generator": norm}, CPU, 0):
        out = norm(torch.randn(100, 2) * 7 + 3)
    assert torch.allclose(out.mean(0), torch.zeros(2), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tpu", "unknown device 'tpu'; there are: auto, cpu, cuda"),
        ("cuda:x", "unknown device"),
        ("cuda:99", "the device 'cuda:99' isn't there: "),
    ],
)
def test_devices_that_are_not_there_are_named(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_device(name)


def test_numerics_puts_every_setting_back() -> None:
    def settings() -> tuple[object, ...]:
        cudnn = torch.backends.cudnn
        deterministic = torch.are_deterministic_algorithms_enabled()
        return cudnn.benchmark, cudnn.deterministic, deterministic, torch.get_num_threads()

    before = settings()
    with numerics(CPU, deterministic=True, threads=1):
        assert torch.get_num_threads() == 1
    assert settings() == before
