from __future__ import annotations

import torch

from harness.data.grid import SIGMA, GaussianGrid, mode_centres


def test_nine_equal_modes_around_the_documented_centres() -> None:
    data = GaussianGrid()
    assert len(data) == 90_000
    groups = data.points.view(9, 10_000, 2)
    assert torch.allclose(groups.mean(1), mode_centres(), atol=4 * SIGMA / 100)
    assert torch.allclose(groups.std(1), torch.full((9, 2), SIGMA), rtol=0.03)
    assert {tuple(c) for c in mode_centres().tolist()} == {(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)}


def test_the_points_are_always_the_same() -> None:
    assert torch.equal(GaussianGrid().points, GaussianGrid().points)
    assert not torch.equal(GaussianGrid(10).points, GaussianGrid(10, seed=1).points)
    assert torch.equal(GaussianGrid()[torch.tensor([5, 2])].data, GaussianGrid().points[[5, 2]])
