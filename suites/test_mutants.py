"""Whether these suites catch GAN code that is broken on purpose, and leave what isn't broken alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch

from harness.checks.determinism import compare_variations
from harness.checks.mutants import CHANGES
from harness.checks.shapes import initial_value_mismatches, optimizer_mismatches
from harness.checks.training_rules import logged_means, watch_conduct, watch_order
from harness.comparison.permutation import holm, permutation_test
from harness.records.metrics import CONTROL_LEFT_ALONE, MUTANT, MUTANT_CAUGHT
from harness.suite.session import SuiteSession
from harness.training.networks import made_networks
from reference import Reference, get

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
BATCH, ALPHA = 16, 0.05
SEEDS, STEPS = 5, 24
# Seeds, steps, batch of those that differ: where a penalty is taken takes longer to show; the largest takes too long.
LENGTHS = {WGAN: (7, 32, 32), PIX2PIX: (5, 6, 1)}
SHUFFLING_OFF = "shuffling-off"


class Checks:
    """The suites' checks at smoke cost, the cheapest first; each says what is wrong, or nothing."""

    def __init__(self, harness: SuiteSession, folder: Path, clean: dict[str, list[dict[str, float]]]) -> None:
        self.harness, self.folder, self.clean = harness, folder, clean

    def shapes(self, of: str, change: str) -> str:
        chosen = broken(of, change)
        torch.manual_seed(0)
        networks = made_networks(chosen)
        wrong = optimizer_mismatches(chosen.optimizers(networks), chosen.card)
        for role in networks.keys() & chosen.card.networks.keys():
            wrong += initial_value_mismatches(networks, chosen.card, role)
        return "; ".join(wrong[:2])

    def conduct(self, of: str, change: str) -> str:
        # Training either player alone would take the largest too long; what it is here for shows at once.
        steps = 0 if of == DCGAN else 16
        findings = watch_conduct(broken(of, change), self.harness.dataset(of), 0, 4 if of == DCGAN else BATCH, steps)
        return "; ".join(f"{found.rule}: {found.broken}" for found in findings if found.broken)

    def training(self, of: str, change: str) -> str:
        """The values that a training logs, over seeds, against other seeds of the clean reference."""
        data = self.harness.dataset(of)
        seeds, steps, batch = LENGTHS.get(of, (SEEDS, STEPS, min(BATCH, get(of).card.batch_size)))
        if of not in self.clean:
            self.clean[of] = [logged_means(get(of), data, seed, batch, steps) for seed in range(seeds)]
        clean = self.clean[of]
        other = [logged_means(broken(of, change), data, seeds + seed, batch, steps) for seed in range(seeds)]
        names = list(clean[0])
        tests = [permutation_test([row[name] for row in clean], [row[name] for row in other]) for name in names]
        differing = [
            f"{name} changed by {test.effect:+.2g} (corrected p = {p:.2g})"
            for name, test, p in zip(names, tests, holm([test.p for test in tests]), strict=True)
            if p <= ALPHA
        ]
        return "; ".join(differing)

    def determinism(self, of: str, change: str) -> str:
        config = self.harness.config(
            f"mutant@of={of},change={change}", batch_size=4, steps=3, threads=1,
            reference_modules=(*self.harness.settings.modules, "harness.checks.mutants"), device="cpu",
        )  # fmt: skip
        found = compare_variations(config, self.folder / change)
        return "; ".join(f"{c.variation}: {c.difference}" for c in found if not c.as_expected)

    def order(self, of: str, change: str) -> str:
        with (
            mock.patch("torch.randperm", lambda n, **_: torch.arange(n))
            if change == SHUFFLING_OFF
            else mock.MagicMock()
        ):
            findings = watch_order(
                of, self.harness.root, self.harness.settings.modules, self.folder / f"order-{change}"
            )
        return "; ".join(found.broken for found in findings)


@pytest.fixture(scope="module")
def clean() -> dict[str, list[dict[str, float]]]:
    """What clean references log, trained once."""
    return {}


@pytest.fixture
def checks(harness: SuiteSession, tmp_path: Path, clean: dict[str, list[dict[str, float]]]) -> Checks:
    return Checks(harness, tmp_path, clean)


def broken(of: str, change: str) -> Reference:
    return get("mutant", of=of, change=change)


def wanted(harness: SuiteSession, of: str) -> None:
    if of.split("@")[0] not in harness.specs():
        pytest.skip(f"{of} wasn't asked for")


def record(harness: SuiteSession, of: str, change: str, what: str, suite: str, said: str) -> None:
    harness.record(
        of, MUTANT_CAUGHT if change != "none" else CONTROL_LEFT_ALONE, float(bool(said) == (change != "none")),
        reason=said[:200], protocol={MUTANT: change, "what": what, "suite": suite if said else "–"},
    )  # fmt: skip


@pytest.mark.parametrize(("change", "of"), MUTANTS.items())
def test_mutant(change: str, of: str, harness: SuiteSession, checks: Checks) -> None:
    wanted(harness, of)
    suites: dict[str, Callable[[str, str], str]] = {
        "shapes": checks.shapes, "conduct": checks.conduct, "training": checks.training,
    }  # fmt: skip
    if "," not in of:
        suites["determinism"] = checks.determinism
    suite, said = next(((name, said) for name, check in suites.items() if (said := check(of, change))), ("", ""))
    record(harness, of, change, CHANGES[change], suite, said)


def test_mutant_shuffling(harness: SuiteSession, checks: Checks) -> None:
    wanted(harness, MLP)
    said = checks.order(MLP, SHUFFLING_OFF)
    record(
        harness, MLP, SHUFFLING_OFF, "the loader gives the data in the order in which they are stored", "conduct", said
    )


@pytest.mark.parametrize("of", sorted(set(MUTANTS.values())))
def test_control(of: str, harness: SuiteSession, checks: Checks) -> None:
    """The same checks on what nobody broke: training logs of three references, for they take longest.

    Determinism and the order of data are checked on every clean reference by their own suites.
    """
    wanted(harness, of)
    used = [checks.shapes, checks.conduct, *([checks.training] if of in (MLP, WGAN, PIX2PIX) else [])]
    said = "; ".join(filter(None, (check(of, "none") for check in used)))
    record(harness, of, "none", CHANGES["none"], "any", said)
    assert not said, f"a clean reference raises an alarm: {said}"


def test_caught(harness: SuiteSession) -> None:
    """At most one mutant in fifteen escapes."""
    found = [r for r in harness.records if r.metric == MUTANT_CAUGHT.name and r.status == "measured"]
    if not found:
        pytest.skip("no mutant was made")
    escaped = [r.protocol[MUTANT] for r in found if not r.value]
    assert len(escaped) <= len(found) / 15, f"not caught: {', '.join(escaped)}"
