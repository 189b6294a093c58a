from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from harness.training import RunConfig, train
from harness.training.schedules import make_schedulers, restore, state_of
from tests import toys

Make = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]
SCHEDULES: dict[str, Make] = {
    "step": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [1, 3, 3], 0.1),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 20),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, 20),
    "one after the other": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
}


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1, momentum=0.9)


def rates(scheduler: lr_scheduler.LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        scheduler.optimizer.step()
        scheduler.step()
        found.append(float(scheduler.optimizer.param_groups[0]["lr"]))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_where_it_was(name: str) -> None:
    import json

    whole = rates(SCHEDULES[name](optimizer()), 9)
    first = SCHEDULES[name](optimizer())
    assert rates(first, 4) == whole[:4]
    kept = json.loads(json.dumps(state_of(first)))
    groups = first.optimizer.state_dict()
    second = SCHEDULES[name](optimizer())
    second.optimizer.load_state_dict(groups)
    restore(second, kept)
    assert rates(second, 5) == whole[4:]


@pytest.fixture(params=["exponential", "milestones", "cycle"])
def scheduled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy with learning rates that fall."""

    def schedulers(_: Any, optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, lr_scheduler.LRScheduler]:
        return {role: SCHEDULES[request.param](one) for role, one in optimizers.items()}

    monkeypatch.setattr(toys.Toy, "schedulers", schedulers, raising=False)
    return str(request.param)


def test_a_resumed_run_has_the_bits_of_one_that_was_never_stopped(
    scheduled: str, tmp_path: Path, toy_config: Callable[..., RunConfig]
) -> None:
    assert scheduled
    whole = train(toy_config(steps=8), tmp_path / "whole").digests
    train(toy_config(steps=4), tmp_path / "parts")
    assert train(toy_config(steps=8), tmp_path / "parts", resume=True).digests == whole


def test_learning_rates_that_a_step_sets_itself_can_be_resumed(
    tmp_path: Path, toy_config: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step has made of an optimiser is no other optimiser."""
    original, kept = toys.Toy.step, dict[str, torch.optim.Optimizer]()

    def falling(self: Any, players: Any, batch: Any, noise: Any) -> Any:
        values = original(self, players, batch, noise)
        for group in kept["generator"].param_groups:
            group["lr"] *= 0.9
        return values

    made = toys.Toy.optimizers

    def keeping(self: Any, networks: Any) -> Any:
        kept.update(made(self, networks))
        return dict(kept)

    monkeypatch.setattr(toys.Toy, "step", falling)
    monkeypatch.setattr(toys.Toy, "optimizers", keeping)
    whole = train(toy_config(steps=8), tmp_path / "whole").digests
    train(toy_config(steps=4), tmp_path / "parts")
    assert train(toy_config(steps=8), tmp_path / "parts", resume=True).digests == whole


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda optimizers: [lr_scheduler.StepLR(o, 1) for o in optimizers.values()], "schedulers by role, not"),
        (lambda _: {"generator": 0.9}, "schedulers by role, not"),
        (lambda optimizers: {r: lr_scheduler.ReduceLROnPlateau(o) for r, o in optimizers.items()}, "waits for"),
    ],
)
def test_what_schedulers_must_return(
    returned: Callable[[Any], Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toys.Toy, "schedulers", lambda _, optimizers: returned(optimizers), raising=False)
    toy: Any = toys.Toy()
    with pytest.raises(ValueError, match=said):
        make_schedulers(toy, {"generator": optimizer()})
