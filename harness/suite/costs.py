"""What checks cost, in floating-point operations: known before anything runs, and the same on every machine."""

from __future__ import annotations

from harness.suite.subject import Subject
from harness.suite.units import Placed, params_of

# Assumed of a check beside its trainings, evaluation included: about two seconds of a processor's core.
_CHECK = 5e10


def operations(items: Placed) -> float:
    """The trainings that checks share, each once, and something for each check."""
    return _CHECK * len(items) + sum(subject.training_operations for subject, _ in trainings(items))


def trainings(items: Placed) -> list[tuple[Subject, int]]:
    """What the checks train: the form that this profile trains, and the seed."""
    found: dict[tuple[str, int], tuple[Subject, int]] = {}
    for _, item in items:
        given = params_of(item)
        subject, seed = given.get("subject"), given.get("seed")
        if subject is not None and seed is not None:
            found[subject.spec, seed] = (subject.trainable, seed)
    return list(found.values())
