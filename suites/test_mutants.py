"""Whether these suites catch GAN code that is broken on purpose, and leave what isn't broken alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.checks.mutants import CHANGES
from harness.records.metrics import CONTROL_LEFT_ALONE, MUTANT, MUTANT_CAUGHT, NOTICED_BY, WHAT
from harness.suite.mutant_checks import SHUFFLING_OFF, MutantChecks
from harness.suite.session import Session

pytestmark = pytest.mark.shipped

MLP, GAN, WGAN, CONDITIONAL = "mlp-gan-mnist", "idl-gan-mnist", "idl-wgan-gp-grid", "idl-cond-wgan-gp-mnist"
DCGAN, PIX2PIX = "handson-dcgan-mnist", "idl-ex6-pix2pix@size=64,width=8"
MUTANTS = {
    "missing-detach": MLP,
    "gradients-not-cleared": MLP,
    "generator-never-stepped": WGAN,
    "discriminator-never-stepped": MLP,
    "swapped-labels": GAN,
    "generator-sign": GAN,
    "penalty-on-reals": WGAN,
    "penalty-sign": WGAN,
    "penalty-dropped": WGAN,
    "l1-dropped": PIX2PIX,
    "other-range": MLP,
    "evaluation-mode": DCGAN,
    "initialisation-dropped": DCGAN,
    "learning-rate-times-ten": MLP,
    "beta-by-ten": GAN,
    "same-noise": MLP,
    "same-batch": MLP,
    "labels-ignored": CONDITIONAL,
    "sampling-other-latents": MLP,
    "optimiser-forgotten": MLP,
}
# Seeds, steps, batch of those that differ: where a penalty is taken takes longer to show; the largest takes too long.
LENGTHS = {WGAN: (7, 32, 32), PIX2PIX: (5, 6, 1)}


@pytest.fixture
def checks(suite: Session, tmp_path: Path) -> MutantChecks:
    return MutantChecks(suite, tmp_path, LENGTHS, heavy=(DCGAN,))


def wanted(suite: Session, of: str) -> None:
    if of.split("@")[0] not in {subject.spec for subject in suite.subjects}:
        pytest.skip(f"{of} wasn't asked for")


def record(suite: Session, of: str, change: str, what: str, noticed: str, said: str) -> None:
    suite.record(
        of,
        MUTANT_CAUGHT if change != "none" else CONTROL_LEFT_ALONE,
        float(bool(said) == (change != "none")),
        reason=said[:200],
        protocol={MUTANT: change, WHAT: what, NOTICED_BY: noticed if said else "–"},
    )


@pytest.mark.parametrize(("change", "of"), MUTANTS.items())
def test_mutant(change: str, of: str, suite: Session, checks: MutantChecks) -> None:
    wanted(suite, of)
    suites: dict[str, Callable[[str, str], str]] = {
        "shapes": checks.shapes,
        "training_rules": checks.training_rules,
        "training": checks.training,
    }
    if "," not in of:
        suites["determinism"] = checks.determinism
    found = ((name, said) for name, check in suites.items() if (said := check(of, change)))
    noticed, said = next(found, ("", ""))
    record(suite, of, change, CHANGES[change], noticed, said)


def test_mutant_shuffling(suite: Session, checks: MutantChecks) -> None:
    wanted(suite, MLP)
    said = checks.order(MLP, SHUFFLING_OFF)
    record(
        suite,
        MLP,
        SHUFFLING_OFF,
        "the loader gives the data in the order in which they are stored",
        "training_rules",
        said,
    )


@pytest.mark.parametrize("of", sorted(set(MUTANTS.values())))
def test_control(of: str, suite: Session, checks: MutantChecks) -> None:
    """The same checks on what nobody broke: training logs of three references, for they take longest.

    Determinism and the order of data are checked on every clean reference by their own suites.
    """
    wanted(suite, of)
    used = [checks.shapes, checks.training_rules, *([checks.training] if of in (MLP, WGAN, PIX2PIX) else [])]
    said = "; ".join(filter(None, (check(of, "none") for check in used)))
    record(suite, of, "none", CHANGES["none"], "any", said)
    assert not said, f"a clean reference raises an alarm: {said}"


@pytest.mark.closing
def test_caught(suite: Session) -> None:
    """At most one mutant in fifteen escapes."""
    found = [r for r in suite.records() if r.metric == MUTANT_CAUGHT.name and r.status == "measured"]
    if not found:
        pytest.skip("no mutant was made")
    escaped = [r.protocol[MUTANT] for r in found if not r.value]
    assert len(escaped) <= len(found) / 15, f"not caught: {', '.join(escaped)}"
