"""The suites' checks at smoke cost, on GAN code that is broken on purpose: each says what is wrong, or nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path
from unittest import mock

import torch

from harness.checks.data_order import watch_order
from harness.checks.determinism import compare_variations
from harness.checks.shapes import initial_value_mismatches, optimizer_mismatches
from harness.checks.training_rules import check_training_rules, logged_means
from harness.comparison.permutation import holm, permutation_test
from harness.suite.session import Session
from harness.suite.subject import Subject
from harness.training.networks import made_networks
from reference import Reference, get

ALPHA = 0.05
SEEDS, STEPS, BATCH = 5, 24, 16
SHUFFLING_OFF = "shuffling-off"
_MODULE = "harness.checks.mutants"


class MutantChecks:
    """Checks of a reference `of` under a `change`.

    Args:
        lengths: seeds, steps and batch of the references whose trainings differ from the usual ones.
        heavy: those on which training either player alone would take too long.
    """

    def __init__(
        self, session: Session, folder: Path, lengths: dict[str, tuple[int, int, int]], heavy: tuple[str, ...]
    ) -> None:
        self.session, self.folder, self.lengths, self.heavy = session, folder, lengths, heavy

    def subject(self, of: str) -> Subject:
        """The clean reference."""
        return self.session.once(("mutants", of), lambda: Subject(self.session, of))

    def shapes(self, of: str, change: str) -> str:
        """Optimisers and initial values."""
        chosen = broken(of, change)
        torch.manual_seed(0)
        networks = made_networks(chosen)
        wrong = optimizer_mismatches(chosen.optimizers(networks), chosen.card)
        for role in (role for role in networks if role in chosen.card.networks):
            wrong += initial_value_mismatches(networks, chosen.card, role)
        return "; ".join(wrong[:2])

    def training_rules(self, of: str, change: str) -> str:
        """The rules of training."""
        heavy = of in self.heavy  # what those are here for shows at once
        batch, steps = (4, 0) if heavy else (BATCH, 16)
        findings = check_training_rules(broken(of, change), self.subject(of).dataset, 0, batch, steps)
        return "; ".join(f"{found.rule}: {found.broken}" for found in findings if found.broken)

    def training(self, of: str, change: str) -> str:
        """The values that a training logs, over seeds, against other seeds of the clean reference."""
        data = self.subject(of).dataset
        seeds, steps, batch = self.lengths.get(of, (SEEDS, STEPS, min(BATCH, get(of).card.batch_size)))
        clean = self.session.once(
            ("clean", of), lambda: [logged_means(get(of), data, seed, batch, steps) for seed in range(seeds)]
        )
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
        """The same seed twice."""
        modules = (*self.session.settings.modules, _MODULE)
        config = self.subject(of).config(
            reference=f"mutant@of={of},change={change}",
            batch_size=4,
            steps=3,
            threads=1,
            reference_modules=modules,
            device="cpu",
        )
        found = compare_variations(config, self.folder / change)
        return "; ".join(f"{c.variation}: {c.difference}" for c in found if not c.as_expected)

    def order(self, of: str, change: str) -> str:
        """The order of the data, with a loader that doesn't shuffle if that is the change."""
        unshuffled = mock.patch("torch.randperm", lambda n, **_: torch.arange(n))
        with unshuffled if change == SHUFFLING_OFF else contextlib.nullcontext():
            modules, folder = self.session.settings.modules, self.folder / f"order-{change}"
            findings = watch_order(of, self.session.root, modules, folder)
        return "; ".join(found.broken for found in findings)


def broken(of: str, change: str) -> Reference:
    """The mutant."""
    return get("mutant", of=of, change=change)
