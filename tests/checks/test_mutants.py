"""Mutants are references like any other, broken in just one way, and never listed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import harness.checks.training_rules  # noqa: F401 - registers the spy
import reference
from harness.checks.mutants import CHANGES
from harness.data import open_dataset
from harness.training.player import EnginePlayer
from harness.training.streams import GeneratorNoise, Streams, sampling
from reference import Reference, get

MLP, GAN, WGAN, CONDITIONAL = "mlp-gan-mnist", "idl-gan-mnist", "idl-wgan-gp-grid", "idl-cond-wgan-gp-mnist"
DCGAN, PIX2PIX = "handson-dcgan-mnist", "idl-ex6-pix2pix@size=64,width=8"
HAVING = {  # references that have what is changed, where not every one has it
    "swapped-labels": GAN,
    "penalty-on-reals": WGAN,
    "penalty-sign": WGAN,
    "penalty-dropped": WGAN,
    "l1-dropped": PIX2PIX,
    "evaluation-mode": DCGAN,
    "initialisation-dropped": DCGAN,
    "beta-by-ten": GAN,
    "labels-ignored": CONDITIONAL,
}
ELSEWHERE = {"none", "sampling-other-latents", "optimiser-forgotten"}  # don't show in training
CPU = torch.device("cpu")


def mutant(of: str, change: str) -> Reference:
    return get("mutant", of=of, change=change)


class Trained:
    """A reference after some steps from seed 0, with everything that shows a difference."""

    def __init__(self, chosen: Reference, steps: int, batch: int) -> None:
        self.reference = chosen
        self.streams = Streams(0, CPU)
        data = open_dataset(chosen.card, None)
        noise = GeneratorNoise(self.streams.noise)
        with self.streams.implicit():
            with self.streams.initialising():
                self.networks: dict[str, nn.Module] = chosen.networks()
            self.optimizers = chosen.optimizers(self.networks)
            moved = {role: EnginePlayer(self.networks[role], given) for role, given in self.optimizers.items()}
            players: Any = SimpleNamespace(**{**self.networks, **moved})
            self.rows = [
                chosen.step(players, data[torch.arange(step * batch, (step + 1) * batch)], noise)
                for step in range(steps)
            ]

    def values(self) -> dict[str, Tensor]:
        """Parameters, buffers and logged values."""
        found = {f"{n} {name}": value for n, row in enumerate(self.rows) for name, value in row.items()}
        for role, network in self.networks.items():
            found |= {f"{role}.{name}": value for name, value in network.state_dict().items()}
        return found

    def samples(self) -> Tensor:
        with sampling(self.networks, CPU, 0):
            return self.reference.sample(self.networks, 8, self.streams.fixed_noise())


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    assert one.keys() == other.keys()
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("of", [MLP, WGAN, CONDITIONAL])
def test_the_control_is_the_original_to_the_last_bit(of: str) -> None:
    original, control = Trained(get(of), 3, 4), Trained(mutant(of, "none"), 3, 4)
    assert differing(original.values(), control.values()) == set()
    if not control.reference.card.classes:
        assert torch.equal(original.samples(), control.samples())


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_trains_on_and_makes_a_difference(change: str) -> None:
    of = HAVING.get(change, MLP)
    batch = 1 if of == PIX2PIX else 3
    changed = Trained(mutant(of, change), 2, batch)
    assert all(bool(value.isfinite().all()) for value in changed.values().values())
    found = differing(Trained(get(of), 2, batch).values(), changed.values())
    assert bool(found) == (change not in ELSEWHERE)


def test_other_latents_show_in_samples() -> None:
    original, changed = Trained(get(MLP), 1, 3), Trained(mutant(MLP, "sampling-other-latents"), 1, 3)
    assert not torch.equal(original.samples(), changed.samples())


def test_a_forgotten_optimiser_restores_nothing() -> None:
    trained, fresh = (
        Trained(mutant(MLP, "optimiser-forgotten"), 2, 3),
        Trained(mutant(MLP, "optimiser-forgotten"), 0, 3),
    )
    state = trained.optimizers["generator"].state_dict()
    assert state["state"], "there is something to forget"
    fresh.optimizers["generator"].load_state_dict(state)
    assert not fresh.optimizers["generator"].state_dict()["state"]


@pytest.mark.parametrize(
    ("change", "of"),
    [("penalty-dropped", WGAN), ("penalty-sign", WGAN), ("l1-dropped", PIX2PIX), ("missing-detach", MLP)],
)
def test_a_step_leaves_no_function_replaced(change: str, of: str) -> None:
    original = Trained(get(of), 1, 1 if of == PIX2PIX else 3).values()
    Trained(mutant(of, change), 1, 1 if of == PIX2PIX else 3)
    assert differing(original, Trained(get(of), 1, 1 if of == PIX2PIX else 3).values()) == set()


def test_settings_are_changed_as_said() -> None:
    (faster,) = Trained(mutant(MLP, "learning-rate-times-ten"), 0, 3).optimizers["generator"].param_groups
    assert faster["lr"] == pytest.approx(3e-3)
    (second,) = Trained(mutant(GAN, "beta-by-ten"), 0, 3).optimizers["generator"].param_groups
    assert second["betas"] == pytest.approx((0.0, 0.09))
    (first,) = Trained(mutant(MLP, "beta-by-ten"), 0, 3).optimizers["generator"].param_groups
    assert first["betas"] == pytest.approx((0.09, 0.999))


def test_an_unknown_change_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="unknown change 'upside-down'; there are: none, missing-detach, ") as refused:
        mutant(MLP, "upside-down")
    assert all(change in str(refused.value) for change in CHANGES)


def test_mutants_and_spies_are_found_and_never_listed() -> None:
    assert not {"mutant", "spy"} & set(reference.names())
    assert not {spec.partition("@")[0] for spec in reference.specs()} & {"mutant", "spy"}
    assert get(f"mutant@of={MLP},change=same-noise").card is get(MLP).card
    assert get(f"spy@of={WGAN}").card is get(WGAN).card
    with pytest.raises(ValueError, match="unknown reference 'mutan'") as refused:
        get("mutan")
    assert "mutant" not in str(refused.value).replace("'mutan'", "")


@pytest.mark.parametrize("change", ["penalty-sign", "penalty-dropped", "l1-dropped"])
def test_a_change_of_what_a_step_does_not_call_is_refused_and_no_control(change: str) -> None:
    name = "l1_loss" if change == "l1-dropped" else "gradient_penalty"
    with pytest.raises(ValueError, match=rf"^the step of {MLP} calls no {name}: the change '{change}' would change no"):
        Trained(mutant(MLP, change), 1, 4)
