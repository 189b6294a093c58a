"""Tiny references for tests: one that works, and knobs that break it the way real GAN code breaks.

Registered by importing this module, also in other processes: `--reference-module tests.toys`.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from reference import (
    Batch,
    Card,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    Networks,
    Noise,
    OptimizerCard,
    Players,
    register,
)

LINEAR = {"": (2,)}

CARD = Card(
    name="toy-grid",
    document="none",
    section="none",
    title="A toy",
    dataset="gaussian-grid",
    data_shape=(2,),
    data_range=(-1.5, 1.5),
    latent_shape=(3,),
    batch_size=1000,
    drop_last=True,
    epochs=1,
    seed=0,
    optimizer=OptimizerCard("Adam", 1e-2, (0.9, 0.999)),
    log=LogSchedule(every=5, first=1),
    source="written for tests",
    networks={
        "generator": NetworkCard(((3,),), (2,), {"0": (2,), "1": (2,), "2": (2,)}, 3 * 2 + 2 + 2 * 2),
        "discriminator": NetworkCard(((2,),), (1,), {"": (1,)}, 3),
    },
    initial_weights=(
        InitialWeights("generator", "0.*", "uniform", -(3**-0.5), 3**-0.5),
        InitialWeights("generator", "1.weight", "constant", 1.0),
        InitialWeights("generator", "1.bias", "constant", 0.0),
        InitialWeights("discriminator", "*", "uniform", -(2**-0.5), 2**-0.5),
    ),
)

_hidden = {"count": 0}


@register
@dataclass(frozen=True)
class Toy:
    """`broken` names what is wrong with it; see `_disturbance`."""

    broken: str = ""
    at: int = 3
    lr: float = 0.01
    card: ClassVar[Card] = CARD

    def networks(self) -> dict[str, nn.Module]:
        generator = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout(0.1))
        discriminator = nn.Linear(2, 1)
        if self.broken == "seedless":
            for parameter in (*generator.parameters(), *discriminator.parameters()):
                nn.init.constant_(parameter, 0.5)
        return {"generator": generator, "discriminator": discriminator}

    def optimizers(self, networks: Networks) -> dict[str, torch.optim.Optimizer]:
        return {role: torch.optim.Adam(network.parameters(), lr=self.lr) for role, network in networks.items()}

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        generator, discriminator = players.generator, players.discriminator
        if self.broken == "seedless":
            return {"loss_generator": torch.zeros(())}
        n = len(batch.data)
        disturbance = self._disturbance()
        d_loss = discriminator(generator(noise.normal(n, 3)).detach()).mean() - discriminator(batch.data).mean()
        discriminator.zero_grad()
        discriminator.backward(d_loss + 0.1 * discriminator(batch.data).square().mean())
        discriminator.step()
        g_loss = -discriminator(generator(noise.normal(n, 3))).mean() * (1 + disturbance)
        generator.zero_grad()
        generator.backward(g_loss)
        generator.step()
        return {"loss_discriminator": d_loss.detach(), "loss_generator": g_loss.detach()}

    def _disturbance(self) -> float:
        _hidden["count"] += 1
        match self.broken:
            case "nan":
                return float("nan") if _hidden["count"] >= self.at else 0.0
            case "clock":  # differs in every training
                return (time.perf_counter_ns() % 1000) / 1000
            case "process":  # differs in every process
                return (os.getpid() % 1000) / 1000
            case "workers":  # differs when there are loader workers
                return sum(child.daemon for child in multiprocessing.active_children()) / 10
            case "hidden":  # state that no checkpoint knows: differs when training goes on in another process
                return _hidden["count"] / 10 if _hidden["count"] < 10_000 else 0.0
        return 0.0

    def sample(self, networks: Networks, n: int, noise: Noise) -> Tensor:
        samples: Tensor = networks["generator"](noise.normal(n, 3))
        if self.broken == "sampling":  # sampling changes what is trained
            next(networks["generator"].parameters()).data.mul_(1.001)
        return samples


def forget() -> None:
    """Start counting steps again, as a new process does."""
    _hidden["count"] = 0
