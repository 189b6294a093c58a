"""Stacked MNIST: three digits that a picture's label names."""

from __future__ import annotations

import pytest
import torch

from harness.data import open_dataset
from harness.data.dataset import linspace_indices
from harness.data.mnist import bundled_root
from harness.data.stacked import MODES, StackedMnist, mode_number
from harness.evaluation.extractors.extractor import load_extractor
from reference import Card

CARD = Card(name="stacked", data_shape=(3, 28, 28), batch_size=8, epochs=1, dataset="stacked-mnist")


def test_each_channel_is_a_digit_of_mnist_and_the_label_names_all_three() -> None:
    data = StackedMnist(bundled_root(), (3, 28, 28), (-1.0, 1.0))
    some = linspace_indices(len(data), 300)
    batch = data[some]
    assert batch.labels is not None
    assert batch.data.shape == (300, 3, 28, 28)
    assert (float(batch.data.min()), float(batch.data.max())) == (-1, 1)
    look = load_extractor("mnistnet", torch.device("cpu"))
    pixels = data.pixels(some).data
    read = torch.stack([look(pixels[:, channel : channel + 1])[1].argmax(1) for channel in range(3)], dim=1)
    assert float((mode_number(read) == batch.labels).double().mean()) > 0.97


def test_a_modes_number_is_its_digits_from_the_first_channel_on() -> None:
    assert mode_number(torch.tensor([[1, 2, 3], [0, 0, 7], [9, 0, 0]])).tolist() == [123, 7, 900]


def test_all_modes_are_there_and_their_shares_are_what_is_drawn() -> None:
    data = StackedMnist(bundled_root(), (3, 28, 28), (0.0, 1.0))
    labels = data.digits.labels[data._triples]
    counts = torch.bincount(mode_number(labels), minlength=MODES)
    assert int((counts > 0).sum()) == MODES
    assert float(data.shares.sum()) == pytest.approx(1)
    assert torch.allclose(counts / len(data), data.shares.float(), atol=4e-4)


def test_a_card_asks_for_it_by_name() -> None:
    data = open_dataset(CARD, None)
    assert data.title == "stacked MNIST, 5,000 of 60,000"
    assert data.fingerprint == open_dataset(CARD, None).fingerprint
    assert (data.real, data.complete, len(data)) == (True, False, 128_000)
    with pytest.raises(ValueError, match=r"holds pictures of shape \(3, 28, 28\), not \(1, 28, 28\)"):
        StackedMnist(bundled_root(), (1, 28, 28), (0.0, 1.0))
