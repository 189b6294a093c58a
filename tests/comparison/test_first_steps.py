from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.comparison.first_steps import Computed, FirstSteps, tell_first_steps
from harness.data.mixtures import THE_GRID
from harness.training import RunConfig, train
from reference import Modes

ASKED = FirstSteps("toy-grid", ("tests.toys",), 0, 3, "cpu", None)


def computed(asked: FirstSteps = ASKED) -> list[Computed]:
    told = io.StringIO()
    tell_first_steps(asked, told)
    first, *lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert first == {"references": len(lines)}
    return [Computed(**line) for line in lines]


def test_the_same_code_computes_the_same() -> None:
    (one,), (other,) = computed(), computed()
    assert one == other
    assert list(one.states) == ["1", "2", "3"]
    assert one.samples
    assert "modes_captured" in one.figures
    assert (one.failed, one.not_drawn, one.not_measured) == ("", "", "")


def test_another_seed_computes_something_else() -> None:
    (one,), (other,) = computed(), computed(dataclasses.replace(ASKED, seed=1))
    assert one.states["1"] != other.states["1"]
    assert one.samples != other.samples


def test_a_change_of_sampling_alone_shows_in_samples_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toys import Toy

    (one,) = computed()
    drawn = Toy.sample

    def moved(self: Toy, *given: Any) -> torch.Tensor:
        return drawn(self, *given) + 1e-3

    monkeypatch.setattr(Toy, "sample", moved)
    (other,) = computed()
    assert one.states == other.states
    assert one.samples != other.samples


def test_a_change_of_evaluation_alone_shows_in_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = computed()
    wider = Modes(THE_GRID.centres, 0.2)
    monkeypatch.setattr("harness.comparison.first_steps.modes_of", lambda _: wider)
    (other,) = computed()
    assert (one.states, one.samples) == (other.states, other.samples)
    assert one.figures != other.figures


def test_what_fails_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toys import Toy

    def broken(*_: Any) -> dict[str, torch.Tensor]:
        raise KeyError("no such layer")

    monkeypatch.setattr(Toy, "step", broken)
    (found,) = computed()
    assert "no such layer" in found.failed
    assert not found.states


def test_steps_go_on_from_the_checkpoints_of_a_kept_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins after the first steps shows there."""
    from tests.toys import Toy

    config = RunConfig("toy-grid", 0, 8, steps=20, device="cpu", threads=1, checkpoint_every=10)
    train(config, tmp_path / "toy-grid-seed0")
    asked = dataclasses.replace(ASKED, runs=str(tmp_path), steps=2)
    (one,) = computed(asked)
    assert one.continued == [10, 20]
    assert sorted(map(int, one.states)) == [1, 2, 11, 12, 21, 22]
    assert computed(asked) == [one]

    step = Toy.step

    def later(self: Toy, *given: Any) -> dict[str, torch.Tensor]:
        generator = given[0].generator.network
        with torch.no_grad():
            if generator[1].num_batches_tracked > 30:  # two a step
                generator[0].bias += 1
        return step(self, *given)

    monkeypatch.setattr(Toy, "step", later)
    (other,) = computed(asked)
    same = [int(number) for number in one.states if one.states[number] == other.states[number]]
    assert sorted(same) == [1, 2, 11, 12]
