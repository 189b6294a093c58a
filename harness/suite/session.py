"""What the suites of one pytest run share: the references asked for, runs trained once, records, the report."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import reference as registry
from harness.comparison.baseline import read_record_set
from harness.comparison.compare import summary
from harness.comparison.page import comparison_table
from harness.comparison.verdicts import Comparison, compare, exit_code, tally
from harness.data import batches_per_epoch, open_dataset
from harness.data.dataset import Dataset
from harness.data.registry import data_root
from harness.evaluation.extractors.extractor import Extractor, open_extractor
from harness.evaluation.protocol import extractor_name, is_image_reference
from harness.files.figures import Picture
from harness.latents.probe import LinearReader, digits_of, labelled_faces
from harness.memory.record import affordable_sizes
from harness.records.metrics import DISK_SPEED_UP, Metric
from harness.records.record import Status
from harness.records.report_folder import COMPARISON
from harness.reporting.console import new_console
from harness.reporting.pages import write_report, write_table
from harness.reporting.recorder import Recorder
from harness.reporting.scorecard import ClaimVerdict, judge_all
from harness.suite.settings import Settings
from harness.training import RunConfig, TrainedRun, train
from harness.training.device import check_workspace_variable, computed, numerics_of, resolve_device, unusable_gpu
from harness.training.flops import affordable_steps, step_operations
from harness.training.networks import drawn_networks
from harness.training.run_folder import folder_name
from harness.training.sample_grids import picture_of
from harness.training.sampler import Sampler
from reference import Card, Reference

if TYPE_CHECKING:
    from harness.loading.record import Storage

_HAVING: Mapping[str, Callable[[Card], bool]] = {
    "latent": lambda card: card.latent_shape is not None,
    "classes": lambda card: card.classes > 0,
    "encoder": lambda card: "encoder" in card.networks,
    "erased": lambda card: card.condition == "erased",
    "paired": lambda card: card.condition == "paired",
    "a printed text": lambda card: any(network.printed for network in card.networks.values()),
    "images": is_image_reference,
    "a comparison of disks": lambda card: any(claim.metric == DISK_SPEED_UP.name for claim in card.claims),
    "faces": lambda card: card.dataset in ("celeba", "celeba-hq") and card.latent_shape is not None,
}
_READ = 4000  # images that a reader gets to see


class SuiteSession:
    """One run of `pytest suites/`.

    Raises:
        ValueError: a setting that can't be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.profile = settings.profile
        self.device = resolve_device(settings.device)
        if self.device.type == "cuda":
            check_workspace_variable()
        self.root = data_root(settings.data_root)
        self.suite = ""
        for module in settings.modules:
            registry.load_module(module)
        self._specs = registry.matching(registry.specs(), settings.references or "*")
        if settings.references is None and not self.profile.variants:
            self._specs = [spec for spec in self._specs if "@" not in spec]
        self._trained: dict[tuple[str, int], TrainedRun] = {}
        self._points: dict[str, NDArray[np.float64]] = {}
        self._samples: dict[str, Picture] = {}
        self._datasets: dict[str, Dataset] = {}
        self._operations: dict[str, float] = {}
        self._readers: dict[str, LinearReader] = {}
        self._extractors: dict[str, Extractor] = {}
        self._reduced = {spec: form for spec in self._specs if (form := self._reduced_form(spec)) is not None}
        asked = {"specs": [spec for spec, _ in self.cards()], "modules": list(settings.modules)}
        self._recorder = Recorder(settings.report_dir, self.profile.name, self.device, asked)
        self.records = self._recorder.records
        # On a terminal the plugin puts pytest's way of letting output through here, for the progress bar.
        self.uncaptured: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        self._baseline = read_record_set(settings.baseline) if settings.baseline else []
        self.comparisons: list[Comparison] = []

    def specs(self, dataset: str | None = None, having: str | None = None) -> list[str]:
        """The references asked for; or those of them on one data set, or having what a measure needs."""
        cards = ((spec, registry.get(spec).card) for spec in self._specs)
        return [
            spec
            for spec, card in cards
            if dataset in (None, card.dataset) and (having is None or _HAVING[having](card))
        ]

    def trainable(self, spec: str) -> str:
        """The form of a reference that this profile trains: itself, or the reduced one that its card names."""
        return self._reduced.get(spec, spec)

    def seeds(self, spec: str) -> list[int]:
        """The document's seed (or --first-seed) and those after it, as many as the profile or --seeds says."""
        card = registry.get(spec).card
        on_grid = card.dataset == "gaussian-grid"
        count = self.settings.seeds or (self.profile.mode_seeds if on_grid else self.profile.training_seeds)
        first = card.seed if self.settings.first_seed is None else self.settings.first_seed
        return [first + i for i in range(count)]

    def numerics(self) -> list[str]:
        """On CUDA both ways of computing; on the CPU there is only one."""
        return numerics_of(self.device)

    def storages(self) -> tuple[Storage, ...]:
        """The disks to load from."""
        return self.settings.storages

    def storage(self, name: str) -> Storage:
        """The disk of this name."""
        return next(storage for storage in self.settings.storages if storage.name == name)

    def dataset(self, spec: str) -> Dataset:
        """The data set of a reference, opened once."""
        if spec not in self._datasets:
            self._datasets[spec] = open_dataset(registry.get(spec).card, self.root)
        return self._datasets[spec]

    def config(self, spec: str, **changes: Any) -> RunConfig:
        """A run's configuration under this session's settings."""
        card = registry.get(spec).card
        given: dict[str, Any] = {
            "reference": spec,
            "seed": card.seed,
            "batch_size": card.batch_size,
            "device": str(self.device),
            "reference_modules": self.settings.modules,
            "data_root": str(self.root) if self.root else None,
            "tensorboard": False,
            "pictures": self.profile.pictures,
        }
        return RunConfig(**(given | changes))

    def folder(self, *parts: str) -> Path:
        """A path in the report folder."""
        return self._recorder.folder(*parts)

    def trained(self, spec: str, seed: int) -> TrainedRun:
        """The reference trained under the profile, once per run of pytest, whichever suite asks first."""
        key = (spec, seed)
        if key not in self._trained:
            card = registry.get(spec).card
            dataset = self.dataset(spec)
            batch = self.batch_size(spec)
            an_epoch = batches_per_epoch(len(dataset), batch, drop_last=card.drop_last)
            documented = card.epochs * an_epoch
            if spec in self._reduced.values():
                steps = min(documented, self.profile.reduced_steps or documented)
            else:
                per_step = batch * self.operations_per_sample(spec)
                steps = affordable_steps(per_step, self.profile.training_flops, documented)
            config = self.config(spec, seed=seed, batch_size=batch, steps=steps, checkpoint_every=0)
            folder = self.folder("runs", f"{folder_name(spec)}-seed{seed}")
            with self.uncaptured():
                self._trained[key] = train(config, folder, console=new_console(), show_log=False)
        return self._trained[key]

    def reference(self, spec: str) -> Reference:
        """The reference itself."""
        return registry.get(spec)

    def initialised(self, spec: str) -> dict[str, nn.Module]:
        """The reference's fresh networks on the CPU, as a run with its card's seed starts from."""
        chosen = registry.get(spec)
        return drawn_networks(chosen, chosen.card.seed, torch.device("cpu"))

    def batch_size(self, spec: str) -> int:
        """The document's batch size, or all of a stand-in that is smaller, or what two steps may take of the budget."""
        whole, budget = min(registry.get(spec).card.batch_size, len(self.dataset(spec))), self.profile.training_flops
        if budget is None or spec in self._reduced.values():
            return whole
        return min(whole, max(2, affordable_sizes([whole], self.operations_per_sample(spec), budget / 2)[0]))

    def operations_per_sample(self, spec: str) -> float:
        """Floating-point operations that a step takes for each sample of its batch."""
        if spec not in self._operations:
            self._operations[spec] = step_operations(registry.get(spec), 1)
        return self._operations[spec]

    def sampler(self, run: TrainedRun, extra: int = 0) -> Sampler:
        """A trained run, ready to be sampled; another `extra` draws otherwise."""
        return Sampler(run.reference, run.networks, run.device, run.seed + extra)

    def digit_reader(self, dataset: Dataset) -> LinearReader:
        """A reader of the data set's classes, fitted once."""
        key = dataset.fingerprint
        if key not in self._readers:
            self._readers[key] = LinearReader(digits_of(dataset, _READ))
        return self._readers[key]

    def attribute_reader(self, spec: str, attribute: str) -> LinearReader:
        """A reader of an attribute of faces, in the shape and range of a reference's samples, fitted once."""
        card = registry.get(spec).card
        key = f"{attribute} {card.data_shape} {card.data_range}"
        if key not in self._readers:
            labelled = labelled_faces(card.data_shape, card.data_range, self.root, attribute, _READ)
            self._readers[key] = LinearReader(labelled)
        return self._readers[key]

    def extractor(self, spec: str) -> Extractor:
        """What looks at a reference's images, opened once.

        Raises:
            NoExtractorError: nothing here can, with the reason.
        """
        inception = self.settings.inception_weights
        name = extractor_name(registry.get(spec).card, self.dataset(spec), inception)
        if name not in self._extractors:
            self._extractors[name] = open_extractor(name, self.device, self.root, inception)
        return self._extractors[name]

    def untrained_sampler(self, spec: str) -> Sampler:
        """A reference's fresh networks, as a run with its card's seed starts from, ready to be sampled."""
        chosen = registry.get(spec)
        seed = chosen.card.seed
        return Sampler(chosen, drawn_networks(chosen, seed, self.device), self.device, seed)

    def run_facts(self, run: TrainedRun) -> dict[str, Any]:
        """What every record of a trained run says of it."""
        return {
            "data": run.dataset,
            "seed": run.seed,
            "batch_size": self.batch_size(registry.spec_of(run.reference)),
            "epochs": run.steps / run.steps_per_epoch,
            "threads": run.threads,
            "computed": computed(run.device),
        }

    def keep_points(self, spec: str, seed: int, points: NDArray[np.float64]) -> None:
        """Remember generated points for the density plot."""
        self._points[f"{spec}, seed {seed}"] = points

    def keep_samples(self, spec: str, seed: int, images: Tensor, count: int = 16) -> None:
        """Remember the first of some generated uint8 images (n, C, H, W) for the plot of a reference's first seed."""
        if seed == self.seeds(spec)[0]:
            self._samples[spec] = picture_of(images[:count].float() / 255, (0.0, 1.0), columns=count)

    def kept_samples(self) -> dict[str, Picture]:
        """The remembered strips of images by reference."""
        return dict(self._samples)

    def kept_points(self) -> dict[str, NDArray[np.float64]]:
        """The remembered points by title."""
        return dict(self._points)

    def record(
        self,
        spec: str,
        metric: Metric,
        value: float | None,
        **more: Any,
    ) -> None:
        """Write one record of the suite that runs, at once: see `Recorder.record`."""
        self._recorder.record(self.suite, spec, metric, value, **more)

    def note(self, suite: str, check: str, parameters: Mapping[str, Any], status: Status, reason: str) -> None:
        """Write that a check was skipped or failed."""
        self.suite = suite
        # Where no reference is to be checked, there is no name.
        spec, seed = parameters.get("spec"), parameters.get("seed")
        named = spec if isinstance(spec, str) else ""
        self._recorder.note(suite, named, check, status, reason, seed if isinstance(seed, int) else None)

    def close(self) -> None:
        """Let others write into the report folder."""
        self._recorder.close()

    def write_report(self) -> None:
        """Make the tables of what was recorded, and hold it against the baseline if there is one."""
        if not self.records:
            return
        write_report(self.settings.report_dir, self.cards())
        if self._baseline:
            asked = {spec for spec, _ in self.cards()}
            self.comparisons = compare([r for r in self._baseline if r.reference in asked], self.records)
            heading = f"# This run against {self.settings.baseline}\n\n{tally(self.comparisons)}"
            write_table(self.settings.report_dir, COMPARISON, comparison_table(self.comparisons), heading)

    def exit_code(self) -> int:
        """What the baseline says: 0, 1 for worse, 10 for inconclusive or not comparable."""
        return exit_code(self.comparisons)

    def cards(self) -> list[tuple[str, registry.Card]]:
        """(spec, card) of the references asked for, each followed by its reduced form if that is what is trained."""
        specs = [form for spec in self._specs for form in dict.fromkeys((spec, self.trainable(spec)))]
        return [(spec, registry.get(spec).card) for spec in specs]

    def summary(self) -> list[str]:
        """What a user wants to know at the end, in a few lines."""
        if not self.records:
            return []
        statuses = Counter(r.status for r in self.records)
        counted = Counter(judgement.verdict for judgement in judge_all(self.cards(), self.records))
        verdicts = ", ".join(f"{counted[v]} {v}" for v in get_args(ClaimVerdict))
        shown, device = self.settings.report_dir, self._recorder.environment["device"]
        return [
            f"profile {self.profile.name} on {device}, torch {torch.__version__}; records: "
            + ", ".join(f"{count} {status}" for status, count in statuses.items()),
            *([f"computed on the CPU: {why}"] if self.settings.device == "auto" and (why := unusable_gpu()) else []),
            f"claims: {verdicts}",
            *([f"the report that was there is kept: {self._recorder.kept}"] if self._recorder.kept else []),
            *self._verdicts(),
            f"everything on one page: {shown / 'report.md'}",
            f"tables: {', '.join(sorted(p.name for p in shown.glob('*.csv')))}",
        ]

    def _verdicts(self) -> list[str]:
        """What the baseline says, a line for each verdict that isn't good."""
        if not self.comparisons:
            return []
        bad = [c for c in self.comparisons if c.verdict not in ("kept", "better")]
        lines = [f"  {c.reference} {c.series}: {c.verdict}" + (f", {c.reason}" if c.reason else "") for c in bad]
        return [f"against {self.settings.baseline}: {summary(self.comparisons)}", *lines]

    def _reduced_form(self, spec: str) -> str | None:
        options = registry.get(spec).card.reduced
        if self.profile.reduced_steps is None or not options:
            return None
        return registry.spec_of(registry.get(f"{spec}{',' if '@' in spec else '@'}{options}"))
