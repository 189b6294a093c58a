"""One step of every reference against the naive computation, and the engine's `backward` against the plain one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reference
from harness.training.player import EnginePlayer, make_players
from harness.training.streams import GeneratorNoise
from tests.reference import naive

Naive = Callable[[naive.Networks, Tensor, GeneratorNoise], dict[str, float]]

STEPS: dict[str, Naive] = {
    "mlp-gan-mnist": lambda nets, x, noise: naive.mlp(nets, x, noise.normal),
    "handson-dcgan-mnist": lambda nets, x, noise: naive.dcgan(nets, x, noise.normal),
    "pytorch-dcgan-celeba": lambda nets, x, noise: naive.dcgan(nets, x, noise.normal),
    "idl-gan-mnist": lambda nets, x, noise: naive.gan(nets, x, noise.normal, 128),
    "idl-gan-grid": lambda nets, x, noise: naive.gan(nets, x, noise.normal, 64),
    "idl-wgan-gp-grid": lambda nets, x, noise: naive.wgan_gp(nets, x, noise.normal, noise.uniform, 64, True),
    "idl-wgan-gp-grid@critic_updates=3": lambda nets, x, noise: naive.wgan_gp(
        nets, x, noise.normal, noise.uniform, 64, True, critic_updates=3
    ),
    "idl-wgan-gp-mnist": lambda nets, x, noise: naive.wgan_gp(nets, x, noise.normal, noise.uniform, 128, False),
    "idl-wgan-gp-mnist@corrected": lambda nets, x, noise: naive.wgan_gp(
        nets, x, noise.normal, noise.uniform, 128, True
    ),
}


def test_every_reference_is_held_against_the_formulas() -> None:
    own = {spec for spec in reference.specs() if not spec.startswith(("toy-", "my-"))}
    assert own <= set(STEPS)


def start(spec: str, n: int = 6) -> tuple[reference.Reference, dict[str, nn.Module], Tensor]:
    chosen = reference.get(spec)
    torch.manual_seed(0)
    networks = chosen.networks()
    low, high = chosen.card.data_range
    return chosen, networks, torch.rand(n, *chosen.card.data_shape) * (high - low) + low


def noise(seed: int = 1) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spec", STEPS)
def test_one_step_equals_the_naive_computation(spec: str) -> None:
    chosen, networks, x = start(spec)
    slow = copy.deepcopy(networks)
    before = copy.deepcopy(networks)
    players = make_players(networks, chosen.optimizers(networks))
    values = chosen.step(players, reference.Batch(x), noise())
    expected = STEPS[spec](slow, x, noise())

    for name, value in values.items():
        if name.startswith("loss"):
            assert value.item() == pytest.approx(expected[name], rel=2e-5, abs=1e-6), name
    for role, network in networks.items():
        compared = 0
        for (name, p), q, old in zip(
            network.named_parameters(), slow[role].parameters(), before[role].parameters(), strict=True
        ):
            assert name.endswith("bias") or not torch.equal(p, old), f"{role} {name} was not updated"
            significant = q.significant  # type: ignore[attr-defined]
            compared += int(significant.sum())
            assert torch.allclose(p[significant], q[significant], rtol=0, atol=1e-6), f"{role} {name}"
        assert compared > 0.3 * sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("spec", STEPS)
def test_values_are_detached_scalars(spec: str) -> None:
    chosen, networks, x = start(spec, 2)
    values = chosen.step(make_players(networks, chosen.optimizers(networks)), reference.Batch(x), noise())
    assert values
    assert all(v.dim() == 0 and not v.requires_grad for v in values.values())


class PlainPlayer(EnginePlayer):
    """Backward as the documents write it: gradients for everything that the loss touches."""

    __slots__ = ()

    def zero_grad(self) -> None:
        self.network.zero_grad()

    def backward(self, loss: Tensor) -> None:
        loss.backward()


@pytest.mark.parametrize("spec", STEPS)
def test_own_gradients_only_gives_the_bits_of_plain_backward(spec: str) -> None:
    chosen, networks, x = start(spec, 4)
    plain_networks = copy.deepcopy(networks)
    optimizers = chosen.optimizers(plain_networks)
    plain: Any = SimpleNamespace(**{r: PlainPlayer(n, optimizers[r]) for r, n in plain_networks.items()})
    engine = make_players(networks, chosen.optimizers(networks))
    one, other = noise(), noise()
    for _ in range(3):
        mine = chosen.step(engine, reference.Batch(x), one)
        theirs = chosen.step(plain, reference.Batch(x), other)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for role in networks:
        for (name, p), q in zip(
            networks[role].state_dict().items(), plain_networks[role].state_dict().values(), strict=True
        ):
            assert torch.equal(p, q), f"{role} {name}"


@pytest.mark.parametrize("spec", STEPS)
def test_samples_have_the_cards_shape_and_range(spec: str) -> None:
    chosen, networks, _ = start(spec)
    with torch.no_grad():
        samples = chosen.sample(networks, 5, noise())
    assert samples.shape == (5, *chosen.card.data_shape)
    if chosen.card.dataset != "gaussian-grid":
        assert samples.min() >= chosen.card.data_range[0]
        assert samples.max() <= chosen.card.data_range[1]
