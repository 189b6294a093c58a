from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.testing import assert_no_leak, peak_bytes


def stepping(keep: list[Tensor] | None = None, size: int = 4) -> Callable[[], None]:
    network = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> None:
        loss = network(torch.ones(size, 3)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if keep is not None:
            keep.append(loss)

    return step


def test_a_step_that_keeps_nothing() -> None:
    assert_no_leak(stepping())


def test_losses_that_are_kept_are_found() -> None:
    with pytest.raises(AssertionError, match=r"bytes more are held after 5 more steps, [\d,]+ a step"):
        assert_no_leak(stepping([]))


def test_what_is_kept_at_first_is_no_leak() -> None:
    kept: list[Tensor] = []

    def step() -> None:
        if not kept:
            kept.append(torch.ones(1000) * 2)

    assert_no_leak(step)


def test_the_peak_grows_by_so_many_bytes_an_image() -> None:
    def make(size: int) -> Callable[[], None]:
        held = torch.ones(100)

        def step() -> None:
            images = torch.full((size, 10), 2.0)
            _ = images + held[0]

        return step

    assert peak_bytes(make, [1, 2, 5]) == {n: 4 * (100 + 2 * 10 * n) for n in (1, 2, 5)}


def test_wrong_use_is_one_line() -> None:
    with pytest.raises(ValueError, match="warm_up 0, steps 5"):
        assert_no_leak(stepping(), warm_up=0)
    with pytest.raises(ValueError, match=r"batch sizes are 1 or more, and at least one, not \[0\]"):
        peak_bytes(lambda _: stepping(), [0])
