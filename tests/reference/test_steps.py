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
from harness.training.returned import draw_samples
from harness.training.streams import GeneratorNoise
from tests.reference import naive

Naive = Callable[[naive.Networks, reference.Batch, GeneratorNoise], dict[str, float]]


def wgan_gp(latent: int, whole: bool, critic_updates: int = 1) -> Naive:
    return lambda nets, batch, noise: naive.wgan_gp(
        nets, batch.data, lambda: (noise.normal(len(batch.data), latent),), noise.uniform, whole, critic_updates
    )


def conditional(latent: int, whole: bool) -> Naive:
    def step(nets: naive.Networks, batch: reference.Batch, noise: GeneratorNoise) -> dict[str, float]:
        labels = batch.labels
        assert labels is not None
        return naive.wgan_gp(
            nets, batch.data, lambda: (noise.normal(len(labels), latent), labels), noise.uniform, whole, given=(labels,)
        )

    return step


def inpainting(whole: bool, latent: int | None = None) -> Naive:
    def step(nets: naive.Networks, batch: reference.Batch, noise: GeneratorNoise) -> dict[str, float]:
        erased = batch.condition
        assert erased is not None
        draw = (lambda: (erased,)) if latent is None else (lambda: (erased, noise.normal(len(erased), latent)))
        return naive.wgan_gp(nets, batch.data, draw, noise.uniform, whole)

    return step


def with_encoder(whole: bool) -> Naive:
    return lambda nets, batch, noise: (
        wgan_gp(128, whole)(nets, batch, noise) | naive.encoder(nets, noise.normal(len(batch.data), 128))
    )


STEPS: dict[str, Naive] = {
    "mlp-gan-mnist": lambda nets, batch, noise: naive.mlp(nets, batch.data, noise.normal),
    "handson-dcgan-mnist": lambda nets, batch, noise: naive.dcgan(nets, batch.data, noise.normal),
    "handson-dcgan-celeba": lambda nets, batch, noise: naive.dcgan(nets, batch.data, noise.normal),
    "handson-dcgan-lsun": lambda nets, batch, noise: naive.dcgan(nets, batch.data, noise.normal),
    "pytorch-dcgan-celeba": lambda nets, batch, noise: naive.dcgan(nets, batch.data, noise.normal),
    "aniketmaurya-dcgan-celeba": lambda nets, batch, noise: naive.logit_dcgan(nets, batch.data, noise.normal),
    "idl-gan-mnist": lambda nets, batch, noise: naive.gan(nets, batch.data, noise.normal, 128),
    "idl-gan-grid": lambda nets, batch, noise: naive.gan(nets, batch.data, noise.normal, 64),
    "idl-wgan-gp-grid": wgan_gp(64, True),
    "idl-wgan-gp-grid@critic_updates=3": wgan_gp(64, True, critic_updates=3),
    "idl-wgan-gp-mnist": wgan_gp(128, False),
    "idl-wgan-gp-mnist@corrected": wgan_gp(128, True),
    "idl-conv-wgan-gp-mnist": wgan_gp(784, False),
    "idl-conv-wgan-gp-mnist@corrected": wgan_gp(784, True),
    "idl-conv-wgan-gp-mnist@critic_updates=2": wgan_gp(784, False, critic_updates=2),
    "idl-cond-wgan-gp-mnist": conditional(128, False),
    "idl-cond-wgan-gp-mnist@corrected": conditional(128, True),
    "idl-ex1-fc-stem-wgan-gp-mnist": wgan_gp(128, False),
    "idl-ex1-fc-stem-wgan-gp-mnist@corrected": wgan_gp(128, True),
    "idl-ex1-fc-stem-wgan-gp-mnist@stem=1": wgan_gp(128, False),
    "idl-ex2-cond-conv-wgan-gp-mnist": conditional(784, False),
    "idl-ex2-cond-conv-wgan-gp-mnist@corrected": conditional(784, True),
    "idl-ex3-encoder-wgan-gp-mnist": with_encoder(False),
    "idl-ex3-encoder-wgan-gp-mnist@corrected": with_encoder(True),
    "idl-ex4-inpainting-unet-mnist": inpainting(False),
    "idl-ex4-inpainting-unet-mnist@corrected": inpainting(True),
    "idl-ex5-inpainting-unet-latent-mnist": inpainting(False, 64),
    "idl-ex5-inpainting-unet-latent-mnist@corrected": inpainting(True, 64),
    # Smaller systems of the same kind: the full ones have tens of millions of parameters and the same few lines.
    "idl-ex6-pix2pix@size=32,width=4": lambda nets, batch, _: naive.pix2pix(nets, batch.data, condition_of(batch)),
    "idl-pgan-celebahq512@resolution=8,width=16,phase_steps=20": lambda nets, batch, noise: naive.progressive(
        nets, batch.data, noise.normal, noise.uniform, depth=1, old=0.75
    ),
    "style-transfer@size=16": lambda nets, batch, _: naive.style(nets, batch.data, condition_of(batch)),
}


def condition_of(batch: reference.Batch) -> Tensor:
    assert batch.condition is not None
    return batch.condition


def test_every_reference_is_held_against_the_formulas() -> None:
    own = {spec for spec in reference.specs() if not spec.startswith(("toy-", "my-"))}
    reduced = {spec.partition("@")[0] for spec in STEPS if reference.get(spec).card.reduced}
    assert own <= set(STEPS) | reduced
    assert len(STEPS) > 30


def start(spec: str, n: int = 6) -> tuple[reference.Reference, dict[str, nn.Module], reference.Batch]:
    chosen = reference.get(spec)
    torch.manual_seed(0)
    networks = chosen.networks()
    card = chosen.card
    if "schedule" in networks:
        networks["schedule"].done = 11  # type: ignore[assignment]  # one step into the second depth's fading in
    low, high = card.data_range
    n = 1 if card.batch_size == 1 else n
    data, condition = (torch.rand(n, *card.data_shape) * (high - low) + low for _ in range(2))
    labels = torch.arange(n) % card.classes if card.classes else None
    return chosen, networks, reference.Batch(data, labels, condition if card.condition else None)


def noise(seed: int = 1) -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("spec", STEPS)
def test_one_step_equals_the_naive_computation(spec: str) -> None:
    chosen, networks, batch = start(spec)
    slow = copy.deepcopy(networks)
    before = copy.deepcopy(networks)
    optimizers = chosen.optimizers(networks)
    players = make_players(networks, optimizers)
    torch.manual_seed(7)  # what dropout draws from
    values = chosen.step(players, batch, noise())
    torch.manual_seed(7)
    expected = STEPS[spec](slow, batch, noise())

    assert values
    assert all(v.dim() == 0 and not v.requires_grad for v in values.values())
    for name, value in values.items():
        if name.startswith("loss"):
            assert value.item() == pytest.approx(expected[name], rel=2e-5, abs=1e-6), name
    for role in optimizers:
        compared = 0
        for (name, p), q, old in zip(
            networks[role].named_parameters(), slow[role].parameters(), before[role].parameters(), strict=True
        ):
            assert name.endswith("bias") or not torch.equal(p, old), f"{role} {name} was not updated"
            significant = q.significant  # type: ignore[attr-defined]
            compared += int(significant.sum())
            assert torch.allclose(p[significant], q[significant], rtol=0, atol=1e-6), f"{role} {name}"
        assert compared > 0.3 * sum(p.numel() for p in networks[role].parameters())


class PlainPlayer(EnginePlayer):
    """Backward as the documents write it: gradients for everything that the loss touches."""

    __slots__ = ()

    def zero_grad(self) -> None:
        self.network.zero_grad()

    def backward(self, loss: Tensor) -> None:
        loss.backward()


@pytest.mark.parametrize("spec", STEPS)
def test_own_gradients_only_gives_the_bits_of_plain_backward(spec: str) -> None:
    chosen, networks, batch = start(spec, 4)
    plain_networks = copy.deepcopy(networks)
    optimizers = chosen.optimizers(plain_networks)
    plain: Any = SimpleNamespace(
        **{r: PlainPlayer(n, optimizers[r]) if r in optimizers else n for r, n in plain_networks.items()}
    )
    engine = make_players(networks, chosen.optimizers(networks))
    one, other = noise(), noise()
    for step in range(2):
        torch.manual_seed(step)
        mine = chosen.step(engine, batch, one)
        torch.manual_seed(step)
        theirs = chosen.step(plain, batch, other)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    for role in networks:
        for (name, p), q in zip(
            networks[role].state_dict().items(), plain_networks[role].state_dict().values(), strict=True
        ):
            assert torch.equal(p, q), f"{role} {name}"


@pytest.mark.parametrize("spec", STEPS)
def test_samples_have_the_cards_shape_and_range(spec: str) -> None:
    chosen, networks, batch = start(spec, 5)
    n = len(batch.data)
    with torch.no_grad():
        samples = draw_samples(chosen, networks, n, noise(), None, batch.condition)
    assert samples.shape == (n, *chosen.card.data_shape)
    if chosen.card.dataset != "gaussian-grid":
        assert samples.min() >= chosen.card.data_range[0]
        assert samples.max() <= chosen.card.data_range[1]
