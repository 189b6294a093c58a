"""Mixtures of Gaussians: where their modes lie, how wide they are, and that they are always the same."""

from __future__ import annotations

import math

import pytest
import torch

from harness.data.mixtures import MIXTURES, THE_GRID, MixtureData, modes_of, points_counted
from reference import Card, get


@pytest.mark.parametrize("name", MIXTURES)
def test_every_mode_has_as_many_points_around_its_centre(name: str) -> None:
    data, mixture = MixtureData(name), MIXTURES[name]
    modes = mixture.modes
    assert len(data) == mixture.points * len(modes.centres)
    groups = data.points.view(len(modes.centres), mixture.points, 2)
    off = 5 * modes.deviation / math.sqrt(mixture.points)
    assert torch.allclose(groups.mean(1), torch.tensor(modes.centres), atol=off)
    assert torch.allclose(groups.std(1), torch.full((len(modes.centres), 2), modes.deviation), rtol=0.05)
    assert data.title == mixture.title


def test_the_modes_are_the_documents_and_the_fields() -> None:
    assert {*THE_GRID.centres} == {(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)}
    assert {*MIXTURES["grid-25"].modes.centres} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    ring = MIXTURES["ring-8"].modes
    assert [math.hypot(*centre) for centre in ring.centres] == pytest.approx([1.0] * 8)
    assert len({round(math.atan2(y, x), 6) for x, y in ring.centres}) == 8
    deviations = {name: mixture.modes.deviation for name, mixture in MIXTURES.items()}
    assert deviations == {"gaussian-grid": 0.05, "grid-25": 0.05, "ring-8": 0.01}
    assert len(MixtureData("ring-8")) == len(MixtureData("grid-25")) == 100_000


def test_the_points_are_always_the_same() -> None:
    grid = MixtureData("gaussian-grid")
    assert torch.equal(grid.points, MixtureData("gaussian-grid").points)
    assert grid.fingerprint == "gaussian-grid-10000-seed0"
    assert not torch.equal(MixtureData("ring-8", points=10).points, MixtureData("ring-8", points=10, seed=1).points)
    assert torch.equal(grid[torch.tensor([5, 2])].data, grid.points[[5, 2]])


def test_a_card_names_its_modes_or_states_them() -> None:
    own = Card(name="own", data_shape=(2,), batch_size=1, epochs=1, modes=THE_GRID)
    field = Card(name="field", data_shape=(2,), batch_size=1, epochs=1, dataset="ring-8")
    assert modes_of(own) == THE_GRID
    assert modes_of(field) == MIXTURES["ring-8"].modes
    assert modes_of(get("idl-gan-mnist").card) is None
    assert [points_counted(card, 10_000) for card in (own, field, get("idl-gan-grid").card)] == [10_000, 2_500, 10_000]


def test_points_have_two_values() -> None:
    with pytest.raises(ValueError, match=r"ring-8 holds points of shape \(2,\), not \(3,\)"):
        MixtureData("ring-8", (3,))
