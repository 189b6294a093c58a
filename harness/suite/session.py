"""One run of the suites: its settings, its subjects, its records and the report."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray

import reference as registry
from harness.comparison.baseline import code_and_bits, read_record_set
from harness.comparison.bits import SAME_BITS, RevisionBits, bits_exit_code
from harness.comparison.comment import MOST, comparison_comment, run_comment
from harness.comparison.kept_bits import bits_against, bits_sentence
from harness.comparison.page import comparison_table
from harness.comparison.rule import Rule
from harness.comparison.verdicts import OPEN, Comparison, compare, exit_code, tally
from harness.data.registry import brings_data, data_root
from harness.evaluation.mode_counters import has_modes
from harness.evaluation.perceptual import PerceptualDistance, find_lpips
from harness.evaluation.protocol import is_image_reference
from harness.files.git import revision_here
from harness.files.kept import keep_array
from harness.files.writing import write_text
from harness.records.environment import environment, moved_bits
from harness.records.metrics import DISK_SPEED_UP, Metric, find_metric
from harness.records.processors import usable_processors
from harness.records.record import Record, Status, read_records
from harness.records.report_folder import (
    CHECKS,
    COMMENT,
    COMPARISON,
    ENVIRONMENT,
    RECORDS,
    SESSION,
    Asked,
    read_session,
)
from harness.reporting.console import new_console
from harness.reporting.pages import write_report, write_table
from harness.reporting.recorder import Recorder
from harness.reporting.scorecard import claims_line
from harness.reporting.screen import showing
from harness.suite.deadline import Deadline
from harness.suite.settings import Settings
from harness.suite.subject import Subject
from harness.training.device import check_workspace_variable, resolve_device
from reference import Card

_T = TypeVar("_T")
_FEW = 4
_EXIT_CODES = (0, OPEN, 1)  # the worse, the later
HAVING: Mapping[str, Callable[[Card], bool]] = {
    "latent": lambda card: card.latent_shape is not None,
    "classes": lambda card: card.classes > 0,
    "encoder": lambda card: "encoder" in card.networks,
    "erased": lambda card: card.condition == "erased",
    "paired": lambda card: card.condition == "paired",
    "a printed text": lambda card: any(network.printed for network in card.networks.values()),
    "images": is_image_reference,
    "images of latents": lambda card: card.latent_shape is not None and is_image_reference(card),
    "modes": has_modes,
    "a comparison of disks": lambda card: any(claim.metric == DISK_SPEED_UP.name for claim in card.claims),
    "faces": lambda card: card.dataset in ("celeba", "celeba-hq") and card.latent_shape is not None,
}


class Session:
    """What the suites share.

    Raises:
        ValueError: a setting that can't be used, or a claim that names a metric which doesn't exist.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.profile = settings.profile
        self.device = resolve_device(settings.device)
        if self.device.type == "cuda":
            check_workspace_variable()
        self.suite = ""
        for module in settings.modules:
            registry.load_module(module)
        specs = registry.matching(registry.specs(), settings.references or "*")
        if settings.references is None and not self.profile.variants:
            specs = [spec for spec in specs if "@" not in spec]
        self.subjects = [Subject(self, spec) for spec in specs]
        own = any(brings_data(subject.reference) for subject in self.subjects)
        self.root = data_root(settings.data_root, own=own)
        _check_claims(self.subjects)
        asked_for = tuple(spec for spec, _ in self.cards)
        code = {module: registry.source_digest(module) for module in settings.modules}
        self._asked = Asked(asked_for, settings.modules, *revision_here(), options=settings.given(), code=code)
        joins = settings.joins is not None
        goes_on = settings.resume and not joins and _is_its_report(settings.report_dir, self._asked, self.device)
        self.recorder = Recorder(
            settings.report_dir, self.profile.name, self.device, self._asked, goes_on=goes_on, joins=joins
        )
        self.deadline = Deadline(settings.time_limit, at=settings.joins["until"] if settings.joins else None)
        # What other processes do at the moment, for whoever shows how far the run is.
        self.say_what_runs: Callable[[str], None] = lambda _: None
        self._baseline = read_record_set(settings.baseline) if settings.baseline else []
        self.comparisons: list[Comparison] = []
        self.against: list[str] = []  # whether code and bits are the baseline's
        kept = settings.joins["kept"] if settings.joins else ()
        self.bits = [RevisionBits(spec, SAME_BITS, "") for spec in kept]
        self._made: dict[Hashable, Any] = {}
        self.set_aside, self.suites_set_aside = 0, set[str]()  # checks that are about none of the subjects
        self.outcomes: Counter[str] = Counter()
        self.complete = False  # whether every check asked for has run
        # On a terminal the plugin puts pytest's way of letting output through here, for the progress bar.
        self.uncaptured: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    @property
    def place(self) -> int:
        """Of the check that runs, among all of them."""
        return self.recorder.place

    @place.setter
    def place(self, place: int) -> None:
        self.recorder.place = place

    @property
    def own_alone(self) -> bool:
        """Whether only GANs of one's own are checked."""
        return not any(type(subject.reference).__module__.startswith("reference.") for subject in self.subjects)

    @property
    def jobs(self) -> int:
        """How many processes that are forked do what isn't timed: of few references one, and with CUDA none else."""
        if self.device.type == "cuda":
            return 1
        usual = self.profile.jobs if len(self.subjects) > _FEW else 1
        return self.settings.jobs or min(usual, usable_processors())

    @property
    def threads(self) -> int | None:
        """CPU threads of each of them; None for as many as PyTorch takes."""
        if self.profile.threads is not None or self.jobs == 1:
            return self.profile.threads
        return max(1, usable_processors() // self.jobs)

    def compare_bits(self) -> None:
        """Hold the first steps of every reference against those that the baseline keeps, if it keeps any.

        Raises:
            ValueError: the first steps can't be had.
        """
        baseline = self.settings.baseline
        if baseline is not None:
            specs = [spec for spec, _ in self.cards]
            with self.uncaptured(), showing(new_console(), lines=False):
                self.bits = bits_against(baseline, specs, self.settings.modules, str(self.device), self.root)

    def has_the_baselines_bits(self, spec: str) -> bool:
        """Whether a training would be the baseline's, bit for bit, as far as its first steps can tell."""
        return any(found.reference == spec and found.verdict == SAME_BITS for found in self.bits)

    def choose(self, dataset: str | None = None, having: str | None = None) -> list[Subject]:
        """The subjects asked for; or those of them on one data set, or having what a measure needs."""
        return [
            subject
            for subject in self.subjects
            if dataset in (None, subject.card.dataset) and (having is None or HAVING[having](subject.card))
        ]

    @cached_property
    def lpips(self) -> PerceptualDistance | None:
        """LPIPS, where its weights are among the published ones that were given."""
        return find_lpips(self.settings.extractor_weights, self.device)

    @cached_property
    def cards(self) -> list[tuple[str, Card]]:
        """(spec, card) of the references asked for, each followed by its reduced form if that is what is trained."""
        forms = [form for subject in self.subjects for form in (subject, subject.trainable)]
        return list({form.spec: (form.spec, form.card) for form in forms}.values())

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What several subjects share, made when it is first asked for."""
        if key not in self._made:
            self._made[key] = make()
        made: _T = self._made[key]
        return made

    def folder(self, *parts: str) -> Path:
        """A path in the report folder."""
        return self.recorder.folder(*parts)

    def record(self, spec: str, metric: Metric, value: float | None, **more: Any) -> None:
        """Write one record of the suite that runs, at once: see `Recorder.record`."""
        self.recorder.record(self.suite, spec, metric, value, **more)

    def keep(self, kind: str, title: str, array: NDArray[Any]) -> None:
        """Put something that a closing check draws into the report's folder, `plots/KIND`."""
        keep_array(self.folder("plots", kind), title, array, self.place)

    def note(self, suite: str, spec: str, check: str, status: Status, reason: str, seed: int | None) -> None:
        """Write that a check was skipped or failed."""
        self.recorder.note(suite, spec, check, status, reason, seed)

    def adopt(self, place: int, records: Sequence[Mapping[str, Any]]) -> None:
        """Record what a check recorded in another process."""
        self.place = place
        for record in records:
            self.recorder.adopt(Record.from_json(dict(record)))

    def records(self) -> list[Record]:
        """What this run has recorded, from its file."""
        path = self.folder(RECORDS)
        return read_records(path) if path.is_file() else []

    def finish(self, *, complete: bool) -> int:
        """Make the tables, hold the records against the baseline if there is one; returns pytest's exit code for it.

        `complete` says that every check asked for has run.
        """
        self.complete = complete
        self.recorder.finish(self.outcomes, complete=complete and self.settings.shard is None)
        records = self.recorder.records
        if records:
            write_report(self.settings.report_dir, self.cards)
        try:
            if records and self._baseline and self.settings.baseline:
                self._compare(self.settings.baseline, records)
        finally:
            if records:
                self._write_comment(records)
        return max((exit_code(self.comparisons), bits_exit_code(self.bits)), key=_EXIT_CODES.index)

    def _compare(self, baseline: Path, records: list[Record]) -> None:
        """Hold what was recorded against the baseline; first its code and its bits, which need no statistics."""
        self.against = code_and_bits(baseline, self._baseline, self._asked, records)
        if self.bits:
            self.against[1] = bits_sentence(self.bits)
        asked, rule = {spec for spec, _ in self.cards}, Rule()
        measured = {(r.reference, r.series) for r in records if rule.covers(r)}
        base = [r for r in self._baseline if r.reference in asked and not self._is_kept(r, measured)]
        nothing_left = bool(self.bits) and not any(rule.covers(record) for record in (*base, *records))
        self.comparisons = [] if nothing_left else compare(base, records, rule)
        heading = "\n\n".join((f"# This run against {baseline}", tally(self.comparisons), *self.against))
        write_table(self.settings.report_dir, COMPARISON, comparison_table(self.comparisons), heading)

    def _is_kept(self, record: Record, measured: set[tuple[str, str]]) -> bool:
        """Whether it needs no new value: what has the same bits wasn't trained to measure it again."""
        return self.has_the_baselines_bits(record.reference) and (record.reference, record.series) not in measured

    def _write_comment(self, records: list[Record]) -> None:
        """The same for a pull request, beside the tables."""
        claims = f"Claims: {claims_line(self.cards, records)}."
        parts = [run_comment("The suites", self.outcomes, records, claims)]
        if self.against:
            title, said = f"This run against {self.settings.baseline}", self.against[: 1 if self.bits else None]
            parts.append(comparison_comment(title, self.comparisons, self.bits, said))
        write_text(self.settings.report_dir / COMMENT, "\n".join(reversed(parts))[:MOST])

    def close(self) -> None:
        """Let others write into the report folder."""
        self.recorder.close()


def _is_its_report(folder: Path, asked: Asked, device: torch.device) -> bool:
    """Whether a run that was asked for the same lies there, to go on with; False where there is no report at all.

    Raises:
        ValueError: another run does, or on another machine.
    """
    if not (folder / SESSION).is_file() or not (folder / CHECKS).is_dir():
        return False
    before, here = read_session(folder), environment(device)
    lines = [
        f"{name} {_words(there)} there, {_words(now)} asked for"
        for name in ("specs", "modules", "options", "revision", "code")
        if (there := getattr(before, name)) != (now := getattr(asked, name))
    ]
    for facts in json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8")).values():
        lines += [f"{name} {one} there, {other} here" for name, one, other in moved_bits(facts, here)]
    if lines:
        raise ValueError(f"{folder} can't be gone on with: {'; '.join(lines)}")
    return True


def _words(value: Any) -> str:
    return (
        " ".join(
            map(str, value.values() if isinstance(value, Mapping) else [value] if isinstance(value, str) else value)
        )
        or "none"
    )


def _check_claims(subjects: list[Subject]) -> None:
    """Refuse claims that name a metric which doesn't exist: they would be `not measured` for ever, without a word."""
    for subject in subjects:
        for claim in subject.card.claims:
            try:
                find_metric(claim.metric) if claim.metric else None
            except ValueError as error:
                raise ValueError(f"the claim {claim.identifier!r} of {subject.spec}: {error}") from error
