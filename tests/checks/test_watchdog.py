from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import watchdog
from harness.checks.watchdog import (
    COLLAPSE,
    DIVERGENCE,
    NO_GRADIENT,
    TrainingLook,
    Watchdog,
    best_look,
    comparable,
    episodes,
    looks_every,
    read_looks,
    watched_values,
)
from harness.training import RunConfig, train
from harness.training.checkpoint import checkpoint_folders
from harness.training.load_run import restore_best, restore_run
from harness.training.run_folder import RunFolder
from harness.training.state import TrainingState
from reference import get

Make = Callable[..., RunConfig]
TOTAL = 10_000


def look(number: int, density: float | None = 1.0, coverage: float | None = 0.9, **other: object) -> TrainingLook:
    given: dict[str, object] = {"spread": 1.0, "losses": {"loss_generator": 1.0}, "gradients": {"generator": 1.0}}
    return TrainingLook(200 * number, density, coverage, **(given | other))  # type: ignore[arg-type]


def training(changes: Mapping[int, TrainingLook] = {}) -> list[TrainingLook]:
    return [changes.get(number, look(number)) for number in range(1, 51)]


def always(*numbers: int, **values: object) -> dict[int, TrainingLook]:
    return {number: look(number, **values) for number in numbers}  # type: ignore[arg-type]


def test_a_training_that_goes_well_has_no_episode() -> None:
    assert episodes(training(), TOTAL) == []


def test_samples_among_the_data_that_cover_few_of_them_have_collapsed() -> None:
    (one,) = episodes(training(always(*range(20, 30), density=1.2, coverage=0.2)), TOTAL)
    assert (one.kind, one.begun, one.noticed, one.over) == (COLLAPSE, 4000, 4400, 6000)
    assert one.said == "the samples lie among the data (density 1.20) and cover 20% of them"
    assert str(one) == "collapse from step 4,000 to 6,000"


def test_samples_that_lie_nowhere_near_the_data_have_not_collapsed_yet() -> None:
    never = {number: look(number, 0.05, 0.2) for number in range(1, 51)}
    assert episodes(training(never), TOTAL) == []


def test_what_was_covered_once_and_is_not_any_more_has_collapsed() -> None:
    (one,) = episodes(training(always(*range(40, 51), density=0.1, coverage=0.1)), TOTAL)
    assert (one.kind, one.begun, one.over) == (COLLAPSE, 8000, None)
    assert one.said == "the samples cover 10% of the data, and 90% after step 7,800"
    assert str(one) == "collapse from step 8,000 to the end"


def test_samples_that_are_all_alike_have_collapsed_also_where_too_few_say_what_they_cover() -> None:
    alike = {n: look(n, None, None, spread=0.001 if n > 10 else 1.0) for n in range(1, 51)}
    (one,) = episodes(training(alike), TOTAL)
    assert (one.kind, one.begun) == (COLLAPSE, 2200)
    assert "all alike" in one.said


def test_networks_may_begin_with_samples_that_are_alike() -> None:
    assert episodes(training(always(*range(1, 6), spread=1e-4)), TOTAL) == []
    (one,) = episodes(training(always(*range(1, 9), spread=1e-4)), TOTAL)
    assert (one.begun, one.noticed) == (1200, 1600)


def test_one_look_alone_is_noise() -> None:
    assert episodes(training(always(20, 21, 25, 49, 50, coverage=0.2)), TOTAL) == []


@pytest.mark.parametrize("value", [5000.0, -5000.0, None])
def test_a_loss_that_explodes_diverges(value: float | None) -> None:
    (one,) = episodes(training(always(*range(30, 51), losses={"loss_generator": value})), TOTAL)
    assert (one.kind, one.begun) == (DIVERGENCE, 6000)
    assert "loss_generator is " in one.said
    assert "and was 1 once" in one.said


@pytest.mark.parametrize("spread", [5000.0, None])
def test_samples_that_leave_diverge(spread: float | None) -> None:
    (one,) = episodes(training(always(*range(30, 51), spread=spread, density=None, coverage=None)), TOTAL)
    assert one.kind == DIVERGENCE
    assert "times the data's variance" in one.said


def test_a_loss_near_zero_may_grow() -> None:
    """A discriminator that wins at first has a loss of a millionth, and a usual one later."""
    early = {n: look(n, losses={"loss_discriminator": 1e-6 if n < 20 else 0.7}) for n in range(1, 51)}
    assert episodes(training(early), TOTAL) == []


def test_a_gradient_that_vanishes_is_noticed_and_one_that_was_never_there_is_not() -> None:
    gone = always(*range(30, 51), gradients={"generator": 1e-9, "discriminator": 1.0})
    (one,) = episodes(training(gone), TOTAL)
    assert (one.kind, one.begun) == (NO_GRADIENT, 6000)
    assert one.said == "the gradient of the generator is 1e-09, and 1 before"
    assert episodes([look(n, gradients={"generator": 0.0}) for n in range(1, 51)], TOTAL) == []


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_episodes_are_the_runs_of_three_and_more(wrong: list[bool]) -> None:
    looks = [look(n + 10, coverage=0.1 if bad else 0.9) for n, bad in enumerate(wrong)]
    runs = [len(run) for run in "".join("x" if bad else " " for bad in wrong).split()]
    found = episodes(looks, 1000)
    assert len(found) == sum(run >= 3 for run in runs)
    assert all(one.begun < one.noticed for one in found)
    assert all(one.over is None or one.over > one.noticed for one in found)


def test_the_best_look_lies_among_the_data_and_covers_most_of_them() -> None:
    cloud, narrow, good, later = look(1, 0.05, 0.9), look(2, 5.0, 0.3), look(3, 1.1, 0.8), look(4, 1.0, 0.8)
    assert best_look([cloud, narrow, good]) is good
    assert best_look([cloud, narrow, good, later]) is later
    assert best_look([cloud, narrow]) is narrow
    assert best_look([look(1, None, None)]) is None


def test_a_report_has_what_was_noticed_and_what_was_covered() -> None:
    looks = training({30: look(30, coverage=0.95), **always(*range(40, 51), coverage=0.25)})
    noticed, end, best = watched_values(looks, TOTAL)
    assert (noticed.value, end.value, best.value) == (1, 0.25, 0.95)
    assert noticed.protocol["what"].startswith("collapse from step 8,000 to the end: the samples lie among")
    assert best.protocol == {"training": "best", "step": "6000"}
    (only,) = watched_values([look(1, None, None)], TOTAL)
    assert (only.value, only.protocol["what"], only.protocol["steps"]) == (0, "", "200")
    assert watched_values([], TOTAL) == [], "trained without a watchdog"


def test_a_short_training_is_not_looked_at() -> None:
    assert [looks_every(total) for total in (999, 1000, 10_000, 100_000)] == [0, 200, 200, 2000]


def test_pictures_are_compared_at_eight_pixels() -> None:
    picture = torch.arange(28.0 * 28).view(1, 1, 28, 28)
    flat, plain, whole = comparable(picture.view(1, -1)), comparable(picture[:, 0]), comparable(picture)
    assert whole.shape == (1, 1, 8, 8)
    assert torch.equal(flat, whole)
    assert torch.equal(plain, whole)
    assert float(comparable(torch.full((1, 3, 64, 64), 0.25)).unique()) == 0.25
    assert comparable(torch.zeros(5, 3, 4, 4)).shape == (5, 3, 4, 4), "a growing network begins with smaller ones"
    points = torch.randn(5, 2)
    assert torch.equal(comparable(points), points)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at every other step of trainings that take no time."""
    monkeypatch.setattr(watchdog, "APART", 2)
    monkeypatch.setattr(watchdog, "LEAST", 4)


@pytest.mark.usefixtures("often")
def test_looking_leaves_no_trace(toy_config: Make, tmp_path: Path) -> None:
    config = toy_config(steps=20, trace=True)
    alone = train(config, tmp_path / "alone")
    watched = train(config, tmp_path / "watched", observe=Watchdog)
    assert watched.digests == alone.digests
    one, two = (RunFolder(tmp_path / name).trace.read_text() for name in ("alone", "watched"))
    assert one == two
    looks = read_looks(RunFolder(tmp_path / "watched").looks)
    assert [look.step for look in looks] == list(range(2, 21, 2))
    assert not RunFolder(tmp_path / "alone").looks.exists()
    rows = [json.loads(line) for line in RunFolder(tmp_path / "alone").metrics.read_text().splitlines()]
    assert looks[3].losses["loss_generator"] == pytest.approx(
        (rows[6]["loss_generator"] + rows[7]["loss_generator"]) / 2
    )


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("at", [5, 6, 7, 12])
def test_a_run_that_was_killed_has_the_same_looks_and_the_same_best(toy_config: Make, tmp_path: Path, at: int) -> None:
    class StopHereError(Exception):
        pass

    def stop(step: int, _: TrainingState) -> None:
        if step == at:
            raise StopHereError

    config = toy_config(steps=20)
    train(config, tmp_path / "whole", observe=Watchdog)
    with pytest.raises(StopHereError):
        train(config, tmp_path / "parts", on_step=stop, observe=Watchdog)
    train(config, tmp_path / "parts", resume=True, observe=Watchdog)
    whole, parts = (RunFolder(tmp_path / name) for name in ("whole", "parts"))
    assert parts.looks.read_text() == whole.looks.read_text()
    (one,), (other,) = checkpoint_folders(whole.best), checkpoint_folders(parts.best)
    assert one.name == other.name
    assert (one / "tensors.safetensors").read_bytes() == (other / "tensors.safetensors").read_bytes()


@pytest.mark.usefixtures("often")
def test_what_is_wrong_is_logged_when_it_is_noticed_and_when_it_is_over(
    toy_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Watchdog._look

    def alike(self: Watchdog, step: int) -> TrainingLook:
        spread = 1e-4 if 8 <= step < 16 else 1.0
        return dataclasses.replace(seen(self, step), spread=spread, density=None, coverage=None)

    monkeypatch.setattr(Watchdog, "_look", alike)
    with caplog.at_level(logging.INFO):
        train(toy_config(steps=20), tmp_path / "run", observe=Watchdog)
    said = [(line.levelname, line.message) for line in caplog.records if line.name == watchdog.__name__]
    assert said == [
        ("WARNING", "collapse from step 8 on: the samples are all alike, with 0.0001 of the data's variance"),
        ("INFO", "collapse is over after step 16"),
    ]
    assert "collapse from step 8 on" in (tmp_path / "run" / "log.txt").read_text()
    assert restore_best(tmp_path / "run", torch.device("cpu")) is None, "nothing said what was covered"


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(
    ("spec", "looked"),
    [
        ("idl-cond-wgan-gp-mnist", True),  # classes
        ("idl-ex6-pix2pix@size=64,width=8", True),  # pictures made from pictures, one at a time
        ("idl-pgan-celebahq512@resolution=16,width=32,phase_steps=4", True),  # it begins with smaller ones
        ("style-transfer@size=32", False),  # one picture: there is nothing to cover
    ],
)
def test_whatever_is_trained_can_be_looked_at(spec: str, looked: bool, tmp_path: Path) -> None:
    given: dict[str, object] = {"steps": 4, "sample_every": 0, "tensorboard": False, "pictures": False, "threads": 1}
    config = RunConfig(spec, 0, min(4, get(spec).card.batch_size), device="cpu", **given)  # type: ignore[arg-type]
    train(config, tmp_path / "run", observe=Watchdog)
    looks = read_looks(RunFolder(tmp_path / "run").looks)
    assert [one.step for one in looks] == ([2, 4] if looked else [])
    assert all(one.coverage is not None and one.spread is not None and len(one.gradients) > 1 for one in looks)


@pytest.mark.parametrize(("change", "collapses"), [("none", False), ("discriminator-never-stepped", True)])
def test_a_gan_that_is_broken_stays_collapsed_and_the_clean_one_does_not(
    change: str, collapses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few steps are the beginning, where its digits are alike: that is over before the end."""
    monkeypatch.setattr(watchdog, "APART", 20)
    monkeypatch.setattr(watchdog, "LEAST", 100)
    given: dict[str, object] = {"steps": 200, "sample_every": 0, "tensorboard": False, "pictures": False, "threads": 1}
    given |= {"device": "cpu", "reference_modules": ("harness.checks.mutants",), "checkpoint_every": 0}
    config = RunConfig(f"mutant@of=mlp-gan-mnist,change={change}", 0, 16, **given)  # type: ignore[arg-type]
    train(config, tmp_path / "run", observe=Watchdog)
    found = episodes(read_looks(RunFolder(tmp_path / "run").looks), 200)
    assert [one.kind for one in found if one.over is None] == ([COLLAPSE] if collapses else [])


@pytest.mark.usefixtures("often")
def test_the_best_networks_are_kept_and_are_those_of_their_step(toy_config: Make, tmp_path: Path) -> None:
    config = toy_config(steps=20)
    train(config, tmp_path / "run", observe=Watchdog)
    best = best_look(read_looks(RunFolder(tmp_path / "run").looks))
    assert best is not None
    kept = restore_best(tmp_path / "run", torch.device("cpu"))
    assert kept is not None
    assert kept.step == best.step
    train(toy_config(steps=best.step), tmp_path / "short")
    then = restore_run(tmp_path / "short", torch.device("cpu"))
    for role, network in kept.networks.items():
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, then.networks[role].state_dict()[name])
