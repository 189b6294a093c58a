from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
import torch

from harness.checks.data_order import order_complaint, watch_order

MLP = "mlp-gan-mnist"
STORED = list(range(8))


@pytest.mark.parametrize(
    ("epochs", "complaint"),
    [
        ([[3, 1, 0, 2, 7, 5, 6, 4], [1, 0, 5, 7, 2, 4, 3, 6]], ""),
        ([[3, 1, 0, 2, 7, 5], [1, 0, 5, 7, 2, 4]], ""),  # the last, smaller batch dropped
        ([STORED, [1, 0, 5, 7, 2, 4, 3, 6]], "epoch 1 isn't shuffled"),
        ([[1, 0, 5, 7, 2, 4, 3, 6], STORED[:6]], "epoch 2 isn't shuffled"),
        ([[3, 1, 0, 2, 7, 5, 6, 3], [1, 0, 5, 7, 2, 4, 3, 6]], "epoch 1 holds a sample more often than the data set"),
        ([[1, 0, 5, 7, 2, 4, 3, 6], [9, 0, 5, 7, 2, 4, 3, 6]], "epoch 2 holds a sample more often than the data set"),
        ([[3, 1, 0, 2, 7, 5, 6, 4]] * 2, "two epochs have the same order"),
    ],
)
def test_what_is_wrong_with_an_order_is_said(epochs: list[list[int]], complaint: str) -> None:
    assert order_complaint(STORED, epochs) == complaint


def test_samples_that_the_data_set_holds_twice_may_come_twice() -> None:
    assert order_complaint([1, 1, 2, 3], [[1, 3, 1, 2], [2, 1, 3, 1]]) == ""
    assert "more often" in order_complaint([1, 1, 2, 3], [[1, 3, 1, 1], [2, 1, 3, 1]])


def test_the_engine_shuffles_and_gives_each_sample_once(tmp_path: Path) -> None:
    (found,) = watch_order(MLP, None, (), tmp_path)
    assert (found.rule, found.broken) == ("data come shuffled, each once an epoch", "")


def test_a_loader_that_does_not_shuffle_is_caught(tmp_path: Path) -> None:
    with mock.patch("torch.randperm", lambda n, **_: torch.arange(n)):
        (found,) = watch_order(MLP, None, (), tmp_path)
    assert found.broken == "epoch 1 isn't shuffled"


def test_a_loader_that_always_shuffles_alike_is_caught(tmp_path: Path) -> None:
    with mock.patch("torch.randperm", lambda n, **_: torch.arange(n).flip(0)):
        (found,) = watch_order(MLP, None, (), tmp_path)
    assert found.broken == "two epochs have the same order"


def test_watching_leaves_the_global_random_state_as_it_was(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    watch_order(MLP, None, (), tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
