from __future__ import annotations

import torch
from torch import Tensor

from harness.data.erased import RATIO, SCALE, Erased
from reference import Batch


class Bright:
    """Images of ones, with their index as label."""

    title, real, complete, fingerprint, in_memory = "bright", True, True, "bright", True

    def __len__(self) -> int:
        return 500

    def __getitem__(self, indices: Tensor) -> Batch:
        return Batch(torch.ones(len(indices), 1, 28, 28), indices)


ALL = torch.arange(500)


def test_each_picture_loses_one_rectangle_of_the_documented_size() -> None:
    batch = Erased(Bright()).draw(ALL, seed=0)
    assert batch.condition is not None
    assert torch.equal(batch.data, torch.ones_like(batch.data))
    assert torch.equal(batch.labels, ALL)  # type: ignore[arg-type]
    gone = batch.condition == 0
    heights, widths = gone.any(3).sum(2).flatten().double(), gone.any(2).sum(2).flatten().double()
    assert torch.equal(heights * widths, gone.flatten(1).sum(1).double()), "a full rectangle"
    area = heights * widths / 784
    # Sides are rounded to whole pixels.
    assert area.min() > SCALE[0] - 0.015
    assert area.max() < SCALE[1] + 0.03
    assert 0.12 < area.mean() < 0.22
    assert (heights / widths).min() > RATIO[0] * 0.7
    assert (heights / widths).max() < RATIO[1] * 1.4


def test_indexing_erases_the_same_place_and_drawing_another() -> None:
    data = Erased(Bright())
    one, two = data[ALL], data[ALL.flip(0)]
    assert one.condition is not None
    assert two.condition is not None
    assert torch.equal(one.condition, two.condition.flip(0))
    assert torch.equal(one.condition == 0, data.holes(ALL))
    first, second = data.draw(ALL, 1).condition, data.draw(ALL, 2).condition
    assert first is not None
    assert not torch.equal(first, second)  # type: ignore[arg-type]
    assert torch.equal(first, data.draw(ALL, 1).condition)  # type: ignore[arg-type]


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    Erased(Bright()).draw(ALL[:3], 0)
    Erased(Bright())[ALL[:3]]
    assert torch.equal(torch.random.get_rng_state(), before)
