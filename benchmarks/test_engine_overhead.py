"""What the engine costs per step, beside bare hand-written loops of the same reference, in one run.

    tox run -e benchmarks

For each reference three rows: the engine; a bare loop that computes the same gradients as the engine (own parameters
only); and the document's loop with its plain `backward`. All three read the same batches with the same loader and keep
the losses as tensors; none writes pictures or checkpoints. The rounds of the three are interleaved, so that a change of
the machine's speed meets all of them, and the ratios are printed at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter as clock
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

import reference
from harness.data import batches, open_dataset
from harness.training import RunConfig, train

Backward = Callable[[Tensor, nn.Module], None]
STEPS = {"mlp-gan-mnist": 200, "handson-dcgan-mnist": 4}
BATCH = {"mlp-gan-mnist": 100, "handson-dcgan-mnist": 128}
LOG_EVERY = {"mlp-gan-mnist": 100, "handson-dcgan-mnist": 2}
ROUNDS = 7


def plain(loss: Tensor, _: nn.Module) -> None:
    loss.backward()


def own_only(loss: Tensor, network: nn.Module) -> None:
    torch.autograd.backward(loss, inputs=list(network.parameters()))


def bare_mlp(data: Iterator[Tensor], backward: Backward, g: nn.Module, d: nn.Module) -> list[Tensor]:
    adam_d, adam_g = (torch.optim.Adam(n.parameters(), lr=3e-4) for n in (d, g))
    losses = []
    for x in data:
        ones, zeros = torch.ones(len(x), 1), torch.zeros(len(x), 1)
        on_real, on_fake = d(x), d(g(torch.randn(len(x), 64)))
        d_loss = binary_cross_entropy(on_real, ones) + binary_cross_entropy(on_fake, zeros)
        adam_d.zero_grad()
        backward(d_loss, d)
        adam_d.step()
        g_loss = binary_cross_entropy(d(g(torch.randn(len(x), 64))), ones)
        adam_g.zero_grad()
        backward(g_loss, g)
        adam_g.step()
        losses += [d_loss.detach(), g_loss.detach(), on_real.detach().mean(), on_fake.detach().mean()]
    return losses


def bare_dcgan(data: Iterator[Tensor], backward: Backward, g: nn.Module, d: nn.Module) -> list[Tensor]:
    adam_d, adam_g = (torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (d, g))
    losses = []
    for x in data:
        ones, zeros = torch.ones(len(x)), torch.zeros(len(x))
        adam_d.zero_grad()
        on_real = d(x)
        loss_real = binary_cross_entropy(on_real, ones)
        backward(loss_real, d)
        fake = g(torch.randn(len(x), 100, 1, 1))
        on_fake = d(fake.detach())
        loss_fake = binary_cross_entropy(on_fake, zeros)
        backward(loss_fake, d)
        adam_d.step()
        adam_g.zero_grad()
        g_loss = binary_cross_entropy(d(fake), ones)
        backward(g_loss, g)
        adam_g.step()
        losses += [t.detach() for t in (loss_real, loss_fake, g_loss)]
        losses += [on_real.detach().mean(), on_fake.detach().mean()]
    return losses


BARE = {"mlp-gan-mnist": bare_mlp, "handson-dcgan-mnist": bare_dcgan}


@pytest.mark.parametrize("name", STEPS)
def test_engine_beside_bare_loops(name: str, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark's own row is the engine; the ratios to the bare loops stand in its extra info."""
    steps = STEPS[name]
    chosen = reference.get(name)
    dataset = open_dataset(chosen.card, None)
    config = RunConfig(
        name,
        1,
        BATCH[name],
        steps=steps,
        log_every=LOG_EVERY[name],
        sample_every=0,
        checkpoint_every=0,
        tensorboard=False,
        pictures=False,
    )
    seconds: dict[str, list[float]] = {"engine": [], "bare": [], "document": []}

    def engine() -> float:
        """Seconds between the first and the last step: what a run costs once is not what a step costs."""
        marks: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            train(config, Path(folder) / "run", on_step=lambda *_: marks.append(clock()))
        return marks[-1] - marks[0]

    def bare(backward: Backward) -> float:
        torch.manual_seed(1)
        networks = chosen.networks()
        marks: list[float] = []

        def data() -> Iterator[Tensor]:
            order = torch.randperm(len(dataset))
            while True:  # the engine's epochs end too
                for batch in batches(dataset, order, BATCH[name], drop_last=False, seed=0):
                    if len(marks) > steps:
                        return
                    marks.append(clock())
                    yield batch.data

        BARE[name](data(), backward, networks["generator"], networks["discriminator"])
        return marks[steps] - marks[1]  # the starts of steps 2 and `steps + 1`: as many steps as the engine's

    def one_round() -> None:
        seconds["engine"].append(engine())
        seconds["bare"].append(bare(own_only))
        seconds["document"].append(bare(plain))

    benchmark.pedantic(one_round, rounds=ROUNDS, warmup_rounds=1)
    seconds = {key: values[1:] for key, values in seconds.items()}
    rows = {key: 1000 * median(values) / (steps - 1) for key, values in seconds.items()}
    ratios = {
        key: median(e / b for e, b in zip(seconds["engine"], seconds[key], strict=True)) for key in ("bare", "document")
    }
    benchmark.extra_info |= {"ms_per_step": rows, "engine_over": ratios}
    with capsys.disabled():
        shown = [f"{key} {value:.3f} ms" for key, value in rows.items()]
        shown += [f"engine / {key} {value:.3f}" for key, value in ratios.items()]
        print(f"\n{name}, per step: {', '.join(shown)}")
    assert len(seconds["engine"]) == ROUNDS
