from __future__ import annotations

import numpy as np
import pytest
import torch

import reference
from harness.training.sampler import GivenLatents, Sampler
from harness.training.streams import GeneratorNoise, Streams, sampling

CPU = torch.device("cpu")


def sampler(spec: str, seed: int = 0) -> Sampler:
    torch.manual_seed(1)
    chosen = reference.get(spec)
    return Sampler(chosen, chosen.networks(), CPU, seed)


def rest() -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", ["mlp-gan-mnist", "handson-dcgan-mnist", "idl-gan-grid", "idl-cond-wgan-gp-mnist"])
def test_samples_at_the_drawn_latents_are_the_drawn_samples(spec: str) -> None:
    one = sampler(spec)
    labels = torch.arange(6) if one.reference.card.classes else None
    assert torch.equal(one.draw(6, labels), one.at(one.latents(6), labels))
    assert not np.array_equal(one.latents(6), one.latents(6, stream=1))
    assert not np.array_equal(one.latents(6), sampler(spec, seed=1).latents(6))


def test_the_command_lines_samples_are_the_runs_own() -> None:
    """What `sample` drew before there was a sampler: the seed's fixed noise."""
    one = sampler("mlp-gan-mnist", seed=3)
    with sampling(one.networks, CPU, 3):
        expected = one.reference.sample(one.networks, 5, Streams(3, CPU).fixed_noise())
    assert torch.equal(one.draw(5), expected)


def test_given_latents_come_first_and_once() -> None:
    latents = torch.ones(2, 3)
    noise = GivenLatents(latents, rest())
    assert noise.uniform(2).max() < 1
    assert noise.integers(5, 2).max() < 5
    assert torch.equal(noise.normal(2, 3), latents)
    assert not torch.equal(noise.normal(2, 3), latents)
    with pytest.raises(ValueError, match=r"draws latents of shape \(4, 3\), given were \(2, 3\)"):
        GivenLatents(latents, rest()).normal(4, 3)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"takes latents of shape \(n, 64\), not \(2, 65\)"):
        sampler("mlp-gan-mnist").at(np.zeros((2, 65)))
    with pytest.raises(ValueError, match="has no latent vector"):
        sampler("idl-ex4-inpainting-unet-mnist").latents(2)
    with pytest.raises(ValueError, match="has no encoder"):
        sampler("mlp-gan-mnist").encoded(torch.zeros(1, 784))


def test_sampling_leaves_networks_and_random_state_alone() -> None:
    one = sampler("handson-dcgan-mnist")
    before = {k: v.clone() for k, v in one.networks["generator"].state_dict().items()}
    random = torch.random.get_rng_state()
    one.at(one.latents(3))
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(v, before[k]) for k, v in one.networks["generator"].state_dict().items())


def test_dropout_follows_from_the_seed() -> None:
    condition = torch.rand(2, 3, 32, 32)
    spec = "idl-ex6-pix2pix@size=32,width=4"
    first = sampler(spec).draw(2, condition=condition)
    torch.manual_seed(99)
    assert torch.equal(sampler(spec).draw(2, condition=condition), first)
    assert not torch.equal(sampler(spec, seed=1).draw(2, condition=condition), first)
