"""Every variation has a saboteur: a toy that is broken just so, and must be caught by just that."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.checks.determinism import compare_variations, first_difference, read_trace
from harness.training import RunConfig, train
from tests import toys

Make = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def no_server_left() -> Iterator[None]:
    yield
    multiprocessing.active_children()


def failures(config: RunConfig, folder: Path) -> set[str]:
    return {c.variation for c in compare_variations(config, folder) if not c.as_expected}


def test_a_sound_reference_passes_everything(toy_config: Make, tmp_path: Path) -> None:
    found = compare_variations(toy_config(steps=6), tmp_path)
    assert {c.variation for c in found} == {
        "again",
        "fresh_process",
        "two_workers",
        "more_logging",
        "killed_and_resumed",
        "other_seed",
    }
    assert [c.variation for c in found if not c.as_expected] == []


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        ("clock", {"again", "fresh_process", "two_workers", "more_logging", "killed_and_resumed"}),
        ("process", {"fresh_process", "killed_and_resumed"}),
        ("workers", {"two_workers"}),
        ("sampling", {"more_logging"}),
        ("seedless", {"other_seed"}),
    ],
)
def test_each_saboteur_is_caught(toy_config: Make, tmp_path: Path, broken: str, caught: set[str]) -> None:
    assert failures(toy_config(reference=f"toy-grid@broken={broken}", steps=4), tmp_path) == caught


def test_state_that_no_checkpoint_knows_is_caught_by_resuming(toy_config: Make, tmp_path: Path) -> None:
    found = failures(toy_config(reference="toy-grid@broken=hidden", steps=6), tmp_path)
    assert "killed_and_resumed" in found
    assert "again" in found, "the count goes on within a process"
    assert "fresh_process" not in found, "it begins anew in another"


def test_the_first_difference_is_named(toy_config: Make, tmp_path: Path) -> None:
    config = toy_config(trace=True, steps=5)
    train(config, tmp_path / "one")
    toys.forget()

    def nudge(step: int, state: object) -> None:
        if step == 3:
            dict(state.networks["generator"].named_parameters())["1.bias"].data[1] += 1e-7  # type: ignore[attr-defined]

    train(config, tmp_path / "two", on_step=nudge)
    difference = first_difference(read_trace(tmp_path / "one"), read_trace(tmp_path / "two"))
    assert difference is not None
    assert difference.startswith("step 4: network/generator/")


def test_traces_of_different_lengths_differ() -> None:
    assert first_difference({1: {"a": "x"}}, {1: {"a": "x"}}) is None
    assert first_difference({1: {"a": "x"}}, {1: {"a": "x"}, 2: {"a": "y"}}) == "step 2 was done by only one of them"
    assert first_difference({1: {"a": "x", "b": "y"}}, {1: {"a": "x", "b": "z"}}) == "step 1: b (1 of 2 tensors differ)"
    assert first_difference({1: {"a": "x", "b": "y"}}, {1: {"a": "x", "b": "z"}}, "a") is None


def test_a_failing_process_is_an_error_and_no_pass(toy_config: Make, tmp_path: Path) -> None:
    (tmp_path / "other_seed").mkdir()
    (tmp_path / "other_seed" / "in the way").write_text("x")
    with pytest.raises(RuntimeError, match="a training process ended with 1"):
        compare_variations(toy_config(steps=4), tmp_path)


def test_too_short_a_training_is_refused(toy_config: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 3 steps"):
        compare_variations(toy_config(steps=2), tmp_path)
