from __future__ import annotations

import pytest

from harness.training import RunConfig


def test_json_and_back() -> None:
    config = RunConfig("toy-grid", 3, 8, steps=5, reference_modules=("tests.toys",), trace=True)
    assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        ({"batch_size": 0}, "batch_size must be 1 or more, not 0"),
        ({"batch_size": -5}, "batch_size must be 1 or more, not -5"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"steps": None}, "either a number of steps or a number of epochs"),
        ({"epochs": 2}, "either a number of steps or a number of epochs"),
        ({"workers": -1}, "workers must be 0 or more"),
        ({"keep_checkpoints": -1}, "keep_checkpoints must be 0 or more"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, int], message: str) -> None:
    given = {"reference": "toy-grid", "seed": 0, "batch_size": 8, "steps": 5}
    with pytest.raises(ValueError, match=message):
        RunConfig(**(given | changes))  # type: ignore[arg-type]


def test_unknown_keys_are_errors() -> None:
    with pytest.raises(ValueError, match="unknown keys in a run's configuration: learning_rate"):
        RunConfig.from_json({"reference": "a", "seed": 0, "batch_size": 1, "steps": 1, "learning_rate": 1})
