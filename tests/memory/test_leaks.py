from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.memory.leaks import bytes_retained
from reference import Batch, Noise, Players, get
from tests.toys import Toy

TOY: Any = Toy()
CPU = torch.device("cpu")
N = 500


@dataclass(frozen=True)
class Collecting(Toy):
    """It keeps something of each step, or of the first `steps` ones."""

    what: str = "nothing"
    steps: int = 10**9
    kept: list[Tensor] = field(default_factory=list, compare=False)

    def step(self, players: Players, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        if len(self.kept) < self.steps:
            # The square's backward pass needs the scores, 4 bytes a sample.
            loss = players.discriminator(batch.data + noise.normal(*batch.data.shape)).square().mean()
            match self.what:
                case "graph":
                    self.kept.append(loss)
                case "value":
                    self.kept.append(loss.detach())
                case "batch":
                    self.kept.append(batch.data)
        return super().step(players, batch, noise)


def collecting(what: str, steps: int = 10**9) -> Any:
    return Collecting(what=what, steps=steps)


@pytest.mark.parametrize("spec", ["mlp-gan-mnist", "idl-wgan-gp-grid"])
def test_a_reference_holds_the_same_after_more_steps(spec: str) -> None:
    early, late = bytes_retained(get(spec), 4, (1, 3), CPU)
    assert early == late > 0


@pytest.mark.parametrize("what", ["nothing", "batch"])
def test_what_is_there_anyway_may_be_kept(what: str) -> None:
    early, late = bytes_retained(collecting(what), N, (2, 4), CPU)
    assert early == late


def test_what_a_toy_holds_as_worked_by_hand() -> None:
    # Generator 3 · 2 + 2 and a normalisation's 2 + 2 (and 2 + 2 and a count), discriminator 2 + 1; with gradients and
    # twice as much state; a counter for each of 4 + 2 parameters; the batch.
    trained, buffers = 12 + 3, 4 * 4 + 8
    held = 4 * trained * 4 + buffers + 4 * 6 + 4 * 2 * N
    assert bytes_retained(TOY, N, (1, 2), CPU) == (held, held)


@pytest.mark.parametrize(("first", "last"), [(1, 2), (2, 6)])
def test_losses_kept_with_their_graphs_are_caught(first: int, last: int) -> None:
    early, late = bytes_retained(collecting("graph"), N, (first, last), CPU)
    assert late - early >= (last - first) * 4 * N
    assert late - early == (last - first) * ((late - early) // (last - first)), "the same at every step"


def test_losses_kept_without_their_graphs_are_caught_too() -> None:
    early, late = bytes_retained(collecting("value"), N, (1, 4), CPU)
    assert late - early == 3 * 4


def test_what_is_kept_once_is_no_leak() -> None:
    early, late = bytes_retained(collecting("graph", steps=1), N, (1, 4), CPU)
    assert early == late > bytes_retained(TOY, N, (1, 2), CPU)[0]


def test_looking_leaves_the_global_random_state_as_it_was() -> None:
    before = torch.random.get_rng_state()
    bytes_retained(TOY, N, (1, 2), CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_batch_that_the_step_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^style-transfer needs 1 style pictures, one per sample, not 2$"):
        bytes_retained(get("style-transfer", size=16), 2, (1, 2), CPU)


@pytest.mark.parametrize("steps", [(0, 2), (2, 2), (3, 1)])
def test_the_second_number_of_steps_is_the_larger(steps: tuple[int, int]) -> None:
    with pytest.raises(AssertionError, match="must be the larger"):
        bytes_retained(TOY, N, steps, CPU)


def test_on_a_card_what_was_asked_for_is_counted_and_not_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block may be a MiB larger than what it was asked for, and so differ from step to step though nothing leaks."""
    asked = iter([{"requested_bytes.all.current": 7}, {"requested_bytes.all.current": 7}])
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda _: next(asked))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: next(iter(range(10**9))))
    monkeypatch.setattr(torch.random, "fork_rng", lambda _: contextlib.nullcontext())
    monkeypatch.setattr("harness.memory.leaks.SyntheticStep", lambda *_: lambda: None)
    assert bytes_retained(TOY, 8, (1, 3), torch.device("cuda")) == (7, 7)
