"""Every layer's output shape, the parameter counts, the initial values, the printed text, and refusals."""

from __future__ import annotations

from functools import lru_cache

import pytest
from torch import nn

from harness.checks.shapes import (
    initial_value_mismatches,
    optimizer_mismatches,
    parameter_count,
    refusal_mismatches,
    shape_mismatches,
)
from harness.records.metrics import (
    INITIAL_VALUE_MISMATCHES,
    LAYER_MISMATCHES,
    NETWORK,
    OPTIMIZER_MISMATCHES,
    PARAMETERS,
    PRINTED_TEXT,
    REFUSAL_MISMATCHES,
)
from harness.suite.subject import Subject
from harness.training.returned import made_optimizers


@lru_cache(maxsize=1)
def all_networks(subject: Subject) -> dict[str, nn.Module]:
    """As they are drawn, once for the checks that only look at them: some take a second."""
    return subject.fresh_networks()


def described(subject: Subject, networks: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Those that the card describes: a role beside them is state, as a schedule is, and no network."""
    if not subject.card.networks:
        pytest.skip("the card says nothing of networks")
    return {role: network for role, network in networks.items() if role in subject.card.networks}


def unstated(subject: Subject, what: str) -> list[str]:
    """The roles of which the card doesn't say that."""
    return [role for role, network in subject.card.networks.items() if getattr(network, what) in (None, {})]


def fresh_networks(subject: Subject) -> dict[str, nn.Module]:
    """Those that the card describes, for looking."""
    return described(subject, all_networks(subject))


def test_layer_shapes(subject: Subject) -> None:
    card = subject.card
    wrong = []
    # Networks of its own: batch normalisation learns from what passes through.
    for role, network in described(subject, subject.fresh_networks()).items():
        for n in (card.batch_size, 1, 3):
            lines = shape_mismatches(network, card.networks[role], n)
            subject.record(
                LAYER_MISMATCHES, len(lines), batch_size=n, reason="; ".join(lines), protocol={NETWORK: role}
            )
            wrong += [f"{role}, batch {n}: {line}" for line in lines]
    assert not wrong, "; ".join(wrong)
    if unsaid := unstated(subject, "layers"):
        pytest.skip(f"inputs and output fit; the card says nothing of the layers of {', '.join(unsaid)}")


def test_parameter_counts(subject: Subject) -> None:
    card = subject.card
    counts = {role: parameter_count(network) for role, network in fresh_networks(subject).items()}
    for role, count in counts.items():
        subject.record(PARAMETERS, count, protocol={NETWORK: role})
    said = {role: network.parameters for role, network in card.networks.items() if network.parameters is not None}
    assert {role: counts[role] for role in said} == said
    if unsaid := unstated(subject, "parameters"):
        pytest.skip(f"the card doesn't say how many parameters {', '.join(unsaid)} has")


def test_initial_values(subject: Subject) -> None:
    card = subject.card
    if not card.initial_weights:
        pytest.skip("the card doesn't say how weights are drawn")
    networks = fresh_networks(subject)
    wrong = []
    for role in networks:
        lines = initial_value_mismatches(networks, card, role)
        subject.record(INITIAL_VALUE_MISMATCHES, len(lines), reason="; ".join(lines), protocol={NETWORK: role})
        wrong += [f"{role}: {line}" for line in lines]
    assert not wrong, "; ".join(wrong)


@pytest.mark.references(having="a printed text")
def test_printed_text(subject: Subject) -> None:
    documented = {role: network.printed for role, network in subject.card.networks.items()}
    networks = fresh_networks(subject)
    for role, text in documented.items():
        if text is not None:
            same = repr(networks[role]) == text
            subject.record(PRINTED_TEXT, float(same), protocol={NETWORK: role})
            assert repr(networks[role]) == text


def test_optimisers(subject: Subject) -> None:
    chosen = subject.reference
    if chosen.card.optimizer is None:
        pytest.skip("the card says nothing of optimisers")
    optimizers = made_optimizers(chosen, all_networks(subject))
    lines = optimizer_mismatches(optimizers, chosen.card)
    for role in optimizers:
        wrong = [line for line in lines if line.startswith(f"{role}:")]
        subject.record(OPTIMIZER_MISMATCHES, len(wrong), reason="; ".join(wrong), protocol={NETWORK: role})
    assert not lines, "; ".join(lines)


def test_wrong_shapes_are_refused(subject: Subject) -> None:
    card = subject.card
    wrong = []
    for role, network in fresh_networks(subject).items():
        lines = refusal_mismatches(network, card.networks[role])
        subject.record(REFUSAL_MISMATCHES, len(lines), reason="; ".join(lines), protocol={NETWORK: role})
        wrong += [f"{role}: {line}" for line in lines]
    assert not wrong, "; ".join(wrong)
