"""A reference under this session's profile, device and data: what a check in a suite is about."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import reference as registry
from harness.checks.watchdog import Watchdog
from harness.comparison.bits import SAME_BITS
from harness.data import Dataset, batches_per_epoch, open_data
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.extractors.published import NoExtractorError
from harness.evaluation.mode_counters import has_modes
from harness.evaluation.protocol import extractor_names
from harness.latents.probe import LinearProbe, labelled_digits, labelled_faces
from harness.memory.record import sizes_within_budget
from harness.records.metrics import Metric
from harness.records.record import UNREAD
from harness.reporting.console import new_console
from harness.reporting.screen import showing
from harness.suite.course import keep_course
from harness.training import RunConfig, TrainedRun, train
from harness.training.config import CHECKPOINT_MINUTES
from harness.training.device import computed
from harness.training.flops import step_operations, steps_within_budget
from harness.training.load_run import restore_best
from harness.training.networks import drawn_networks
from harness.training.run_folder import folder_name
from harness.training.sampler import Sampler
from reference import Card, Reference

if TYPE_CHECKING:
    from harness.suite.session import Session

_EXAMPLES = 4000  # labelled images that a probe gets to see


class Subject:
    """One reference, by its spec; everything that takes time is done once, when it is first asked for."""

    def __init__(self, session: Session, spec: str) -> None:
        self.session = session
        self.spec = spec
        self.reference: Reference = registry.get(spec)
        self.card: Card = self.reference.card
        self._trained: dict[tuple[int, int | None], TrainedRun] = {}
        self._failed: dict[tuple[int, int | None], Exception] = {}

    def __str__(self) -> str:
        return self.spec

    @cached_property
    def trainable(self) -> Subject:
        """What this profile trains of it: itself, or the reduced form that its card names."""
        if self.session.profile.reduced_steps is None or not self.card.reduced:
            return self
        options = f"{self.spec}{',' if '@' in self.spec else '@'}{self.card.reduced}"
        return ReducedSubject(self.session, registry.spec_of(registry.get(options)))

    @cached_property
    def dataset(self) -> Dataset:
        """Its data set, or the stand-in for it."""
        return open_data(self.reference, self.session.root)

    @cached_property
    def operations_per_sample(self) -> float:
        """Floating-point operations that a step takes for each sample of its batch."""
        return step_operations(self.reference, 1)

    @property
    def batch_size(self) -> int:
        """The document's batch size, or all of a stand-in that is smaller, or what two steps may take of the budget."""
        whole, budget = min(self.card.batch_size, len(self.dataset)), self.session.profile.training_flops
        if budget is None:
            return whole
        return min(whole, max(2, sizes_within_budget([whole], self.operations_per_sample, budget / 2)[0]))

    @property
    def steps(self) -> int:
        """The document's steps, or as many as the profile's budget allows."""
        operations, budget = self.batch_size * self.operations_per_sample, self.session.profile.training_flops
        return steps_within_budget(operations, budget, self._documented_steps)

    @property
    def training_operations(self) -> float:
        """Floating-point operations of one training under the profile."""
        return self.steps * self.batch_size * self.operations_per_sample

    @property
    def _documented_steps(self) -> int:
        return self.card.epochs * batches_per_epoch(len(self.dataset), self.batch_size, drop_last=self.card.drop_last)

    def seeds(self) -> list[int]:
        """The document's seed (or --first-seed) and those after it, as many as the profile or --seeds says."""
        settings, profile = self.session.settings, self.session.profile
        usual = profile.mode_seeds if has_modes(self.card) else profile.training_seeds
        first = self.card.seed if settings.first_seed is None else settings.first_seed
        return [first + i for i in range(settings.seeds or usual)]

    def config(self, **changes: Any) -> RunConfig:
        """A run's configuration under this session's settings."""
        session = self.session
        given: dict[str, Any] = {
            "reference": self.spec,
            "seed": self.card.seed,
            "batch_size": self.card.batch_size,
            "device": str(session.device),
            "reference_modules": session.settings.modules,
            "data_root": str(session.root) if session.root else None,
            "tensorboard": False,
            "pictures": session.profile.pictures,
        }
        return RunConfig(**(given | changes))

    def trained(self, seed: int, steps: int | None = None) -> TrainedRun:
        """The reference trained, once per run of pytest, whichever suite asks first.

        Under the profile; or for `steps`, at the document's batch size.

        With `--runs`, trainings of earlier runs are used and gone on with, where they give the same bits.

        Where the baseline's bits are had, nothing is trained: the check that asks for it is skipped.

        Raises:
            ValueError: other settings, data, versions or another device have begun the training that is there.
        """
        if self.session.has_the_baselines_bits(self.spec):
            pytest.skip(f"{SAME_BITS} as the baseline after the first steps: nothing is trained")
        if (seed, steps) in self._failed:
            raise self._failed[seed, steps]  # it would fail again
        if (seed, steps) not in self._trained:
            try:
                run = self._train(seed, steps)
            except Exception as error:
                self._failed[seed, steps] = error
                raise
            self._trained[seed, steps] = run
            if steps is not None or not self.why_unread:
                keep_course(run, self.spec, self.session.folder("plots"), self.session.place)
        return self._trained[seed, steps]

    def _train(self, seed: int, steps: int | None) -> TrainedRun:
        """Train, or go on with what was begun; where the run is to stop, a checkpoint is written first."""
        size = self.batch_size if steps is None else min(self.card.batch_size, len(self.dataset))
        config = self.config(
            seed=seed,
            batch_size=size,
            steps=steps or self.steps,
            checkpoint_every=0,
            checkpoint_minutes=CHECKPOINT_MINUTES,
        )
        name = f"{folder_name(self.spec)}-seed{seed}" + ("" if steps is None else f"-{steps}steps")
        kept, deadline = self.session.settings.runs, self.session.deadline
        folder = kept / name if kept else self.session.folder("runs", name)
        with self.session.uncaptured(), showing(new_console(), lines=False):
            run = train(
                config,
                folder,
                resume="auto",
                same_bits=True,
                stop_on_signal=True,
                stop_when=lambda: deadline.is_over,
                observe=Watchdog,
            )
        if run.steps < run.asked:
            deadline.check()
            raise KeyboardInterrupt
        return run

    def best(self, run: TrainedRun) -> TrainedRun | None:
        """The same with the networks that the watchdog kept; None where those are the final ones, or it kept none."""
        kept = restore_best(run.folder, run.device)
        if kept is None or kept.step == run.steps:
            return None
        return replace(run, networks=kept.networks, steps=kept.step)

    def sampler(self, run: TrainedRun, extra: int = 0) -> Sampler:
        """A trained run, ready to be sampled; another `extra` draws otherwise."""
        return Sampler(run.reference, run.networks, run.device, run.seed + extra)

    def fresh_networks(self, device: torch.device | None = None) -> dict[str, nn.Module]:
        """Its networks as a run with its card's seed starts from, on the CPU or `device`."""
        return drawn_networks(self.reference, self.card.seed, device or torch.device("cpu"))

    def untrained_sampler(self) -> Sampler:
        """Its fresh networks, ready to be sampled."""
        device = self.session.device
        return Sampler(self.reference, self.fresh_networks(device), device, self.card.seed)

    @property
    def extractors(self) -> list[Extractor]:
        """What looks at its images: the harness's own first, and beside it those whose published weights are there.

        Raises:
            pytest.skip.Exception: nothing here can, with the reason.
        """
        session, published = self.session, self.session.settings.extractor_weights

        def loaded(name: str) -> Extractor:
            make = partial(load_extractor, name, session.device, session.root, published)
            return session.once(("extractor", name), make)

        try:
            return [loaded(name) for name in extractor_names(self.card, self.dataset, published)]
        except NoExtractorError as error:
            pytest.skip(str(error))

    @property
    def class_probe(self) -> LinearProbe:
        """A linear probe of its data set's classes."""
        data = self.dataset
        return self.session.once(("classes", data.fingerprint), lambda: LinearProbe(labelled_digits(data, _EXAMPLES)))

    def attribute_probe(self, attribute: str) -> LinearProbe:
        """A linear probe of an attribute of faces, in the shape and range of its samples."""
        shape, value_range, root = self.card.data_shape, self.card.data_range, self.session.root
        return self.session.once(
            ("attribute", attribute, shape, value_range),
            lambda: LinearProbe(labelled_faces(shape, value_range, root, attribute, _EXAMPLES)),
        )

    def run_facts(self, run: TrainedRun) -> dict[str, Any]:
        """What every record of a trained run says of it."""
        return {
            "data": run.dataset,
            "seed": run.seed,
            "batch_size": run.batch_size,
            "epochs": run.steps / run.steps_per_epoch,
            "threads": run.threads,
            "computed": computed(run.device),
        }

    @property
    def why_unread(self) -> str:
        """Why nothing can be read from what comes of this profile's trainings of it; "" where something can."""
        if self.session.profile.reads_short_trainings or self.steps >= self._documented_steps:
            return ""
        return f"{UNREAD}trained for {self.steps:,} of {self._documented_steps:,} steps"

    def record_trained(self, run: TrainedRun, metric: Metric, value: float | None, **more: Any) -> None:
        """Write one record of what came of a training; from one that is too short no table shows it."""
        if value is not None and self.why_unread:
            more |= {"reason": self.why_unread}
        self.record(metric, value, **(self.run_facts(run) | more))

    def record(self, metric: Metric, value: float | None, **more: Any) -> None:
        """Write one record of it, at once: see `Recorder.record`."""
        self.session.record(self.spec, metric, value, **more)

    def keep(self, kind: str, title: str, array: NDArray[Any]) -> None:
        """Put something that a closing check draws into the report's folder, `plots/KIND`."""
        self.session.keep(kind, title, array)


class ReducedSubject(Subject):
    """The small form of a system that is too large for a laptop: its own batch, and the profile's steps."""

    @property
    def batch_size(self) -> int:
        """The document's batch size, or all of a stand-in that is smaller."""
        return min(self.card.batch_size, len(self.dataset))

    @property
    def steps(self) -> int:
        """The profile's, or the document's if those are fewer."""
        return min(self._documented_steps, self.session.profile.reduced_steps or self._documented_steps)

    @property
    def trainable(self) -> Subject:
        """Itself."""
        return self
