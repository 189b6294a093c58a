"""Every rule has a saboteur: a reference, or data, that break just this one; what nobody broke keeps them all."""

from __future__ import annotations

from unittest import mock

import pytest
import torch
from torch import Tensor

import harness.checks.mutants  # noqa: F401 - registers what is broken here
from harness.checks.training_rules import check_training_rules, logged_means
from harness.data import Dataset, open_dataset
from reference import Batch, get

MLP, GAN, GRID, CONDITIONAL = "mlp-gan-mnist", "idl-gan-mnist", "idl-gan-grid", "idl-cond-wgan-gp-mnist"
WGAN, INPAINTING = "idl-wgan-gp-grid", "idl-ex4-inpainting-unet-mnist"
FEW, ENOUGH = 4, 16  # a batch, and the batch and steps after which the players' opposition shows

TRAINED, OWN, TRAINING = "every player is trained", "gradients are a player's own", "players are in training mode"
LOOKED_AT, FRESH = "each step's data are looked at", "each step draws fresh noise"
SAMPLING, LABELS, OPPOSED = "sampling draws what training drew", "labels play a part", "players oppose each other"
DATA_RANGE, SAMPLE_RANGE = "data are in the card's range", "samples are in the card's range"


def dataset(spec: str) -> Dataset:
    return open_dataset(get(spec).card, None)


def findings(of: str, change: str = "", seed: int = 0, batch: int = FEW, steps: int = 0) -> dict[str, str]:
    """What is wrong, by rule."""
    watched = get("mutant", of=of, change=change) if change else get(of)
    return {found.rule: found.broken for found in check_training_rules(watched, dataset(of), seed, batch, steps)}


def broken(found: dict[str, str]) -> set[str]:
    return {rule for rule, complaint in found.items() if complaint}


@pytest.mark.parametrize(
    ("of", "seed", "batch", "steps"),
    [
        (MLP, 0, ENOUGH, ENOUGH),
        *((of, seed, ENOUGH, ENOUGH) for of in (GRID, WGAN) for seed in range(3)),
        (CONDITIONAL, 0, FEW, 0),
        (INPAINTING, 0, FEW, 0),
    ],
)
def test_what_nobody_broke_keeps_every_rule(of: str, seed: int, batch: int, steps: int) -> None:
    found = findings(of, seed=seed, batch=batch, steps=steps)
    assert len(found) >= 5
    assert broken(found) == set()


def test_the_control_keeps_the_rules_of_the_original() -> None:
    assert findings(MLP, "none") == findings(MLP)


@pytest.mark.parametrize(
    ("of", "change", "rule", "complaint"),
    [
        (MLP, "generator-never-stepped", TRAINED, "the generator didn't move in 3 steps"),
        (MLP, "discriminator-never-stepped", TRAINED, "the discriminator didn't move in 3 steps"),
        (MLP, "missing-detach", OWN, "the generator held gradients before any loss of its own"),
        (MLP, "gradients-not-cleared", OWN, "the generator and discriminator held gradients"),
        (MLP, "evaluation-mode", TRAINING, "parts of the generator aren't"),
        (MLP, "other-range", LOOKED_AT, "not those of step 1, 2, 3"),
        (MLP, "same-batch", LOOKED_AT, "not those of step 2, 3"),
        (MLP, "same-noise", FRESH, "two steps used the same latents"),
        (MLP, "sampling-other-latents", SAMPLING, "distributed otherwise (Kolmogorov-Smirnov"),
        (CONDITIONAL, "labels-ignored", LABELS, "the generator and critic gives the same for other labels"),
    ],
)
def test_each_saboteur_breaks_just_its_rule(of: str, change: str, rule: str, complaint: str) -> None:
    found = findings(of, change)
    assert broken(found) == {rule}
    assert complaint in found[rule]


@pytest.mark.parametrize(
    ("of", "change"),
    [(MLP, "generator-sign"), (GRID, "generator-sign"), (GRID, "swapped-labels"), (GAN, "swapped-labels")],
)
def test_players_that_pull_the_same_way_are_caught(of: str, change: str) -> None:
    found = findings(of, change, batch=ENOUGH, steps=ENOUGH)
    assert broken(found) == {OPPOSED}
    assert "trained alone, the discriminator moves it by" in found[OPPOSED]


def test_too_few_steps_to_tell_leave_opposition_out() -> None:
    assert OPPOSED in findings(MLP, steps=1)
    assert OPPOSED not in findings(MLP, steps=0)


class Stretched:
    """A data set in another range than the card says."""

    title, real, complete, fingerprint, in_memory = "stretched", False, True, "stretched", True

    def __init__(self, inner: Dataset) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, indices: Tensor) -> Batch:
        batch = self.inner[indices]
        return Batch(batch.data * 2, batch.labels, batch.condition)


def test_data_outside_the_declared_range_are_caught() -> None:
    found = {f.rule: f.broken for f in check_training_rules(get(MLP), Stretched(dataset(MLP)), 0, FEW, 0)}
    assert broken(found) == {DATA_RANGE}
    assert found[DATA_RANGE] == "the data go from -2 to 2, declared are -1 to 1"


def test_samples_outside_the_declared_range_are_caught() -> None:
    watched = get(MLP)
    original = watched.sample
    with mock.patch.object(type(watched), "sample", lambda self, *given: original(*given) + 2):
        found = findings(MLP)
    assert broken(found) == {SAMPLE_RANGE}
    assert "declared are -1 to 1" in found[SAMPLE_RANGE]


@pytest.mark.parametrize(
    ("of", "left_out"),
    [(GRID, {LABELS}), (INPAINTING, {LABELS, FRESH, SAMPLING, OPPOSED})],
)
def test_a_rule_that_does_not_speak_of_a_reference_is_left_out(of: str, left_out: set[str]) -> None:
    rules = {TRAINED, OWN, TRAINING, LOOKED_AT, FRESH, SAMPLING, LABELS, OPPOSED, DATA_RANGE, SAMPLE_RANGE}
    assert set(findings(of, steps=1)) == rules - left_out


def test_watching_leaves_the_global_random_state_as_it_was() -> None:
    before = torch.random.get_rng_state()
    findings(MLP, steps=1)
    findings(CONDITIONAL)
    logged_means(get(MLP), dataset(MLP), 0, FEW, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_watching_twice_finds_the_same() -> None:
    torch.manual_seed(1)
    first = findings(MLP, "sampling-other-latents", steps=2)
    torch.manual_seed(2)
    assert findings(MLP, "sampling-other-latents", steps=2) == first


def test_logged_means_follow_from_the_seed_and_name_every_value_of_the_step() -> None:
    means = [logged_means(get(MLP), dataset(MLP), seed, FEW, 4) for seed in (0, 0, 1)]
    assert list(means[0]) == ["loss_discriminator", "loss_generator", "D(x)", "D(G(z))"]
    assert means[0] == means[1]
    assert means[0] != means[2]
