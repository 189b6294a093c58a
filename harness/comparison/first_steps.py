"""What the references of a source tree compute in their first steps: a process of its own, whose answers are compared.

    python -m harness.comparison.first_steps '{"references": "my-*", "modules": ["my_gan"], "seed": 0, "steps": 3, …}'

Lines of JSON on standard output: how many references are meant, and what each computes.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO, TypeVar

from harness.checks.determinism import read_trace
from harness.data.mixtures import modes_of
from harness.data.registry import brings_data, data_root
from harness.evaluation.extractors.extractor import load_extractor
from harness.evaluation.mode_coverage import coverage_of
from harness.evaluation.protocol import evaluate_sampler, extractor_names, is_image_reference
from harness.memory.record import sizes_within_budget
from harness.records.metrics import MetricValue, series
from harness.training import RunConfig, TrainedRun, train
from harness.training.checkpoint import checkpoint_folders
from harness.training.device import resolve_device
from harness.training.flops import step_operations
from harness.training.run_folder import RUN_FILE, RunFolder, folder_name
from harness.training.sample_grids import fixed_samples
from harness.training.sampler import Sampler
from harness.training.state import TrainingState, digest
from harness.training.streams import Streams
from reference import get, load_module, matching, specs

_T = TypeVar("_T")
_STEP_FLOPS = 2e10  # on a CPU no step takes more: about a second
_SHOWN = 16  # samples whose bits are held against each other
_MEASURED = 96  # images that are measured: not to judge them, but to see whether measuring has changed
_POINTS = 2000
_QUIET: dict[str, Any] = {"sample_every": 0, "tensorboard": False, "pictures": False}  # only states are looked at


@dataclass(frozen=True)
class FirstSteps:
    """What is to be computed.

    Attributes:
        references: patterns, as the suites take them.
        modules: what registers some of them.
        seed: None for each document's own.
        steps: of a training with that seed, with deterministic kernels and, on a CPU, on one thread.
        runs: a folder of trainings, as the suites' --runs keeps them: so many steps from each checkpoint, too.
    """

    references: str
    modules: tuple[str, ...]
    seed: int | None
    steps: int
    device: str
    data_root: str | None
    runs: str | None = None


@dataclass(frozen=True)
class Computed:
    """What one reference computed: digests of its state after each step, of samples after the last, and their figures.

    States from a kept training's checkpoints follow, at steps of their own; `continued` are those checkpoints' steps.
    `failed` is why there is nothing; `not_drawn` and `not_measured` why there are no samples, and no figures of them.
    """

    reference: str
    batch_size: int = 0
    states: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    continued: Sequence[int] = ()
    samples: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    failed: str = ""
    not_drawn: str = ""
    not_measured: str = ""


def tell_first_steps(asked: FirstSteps, answers: TextIO) -> None:
    """Write how many references are meant, and what each computes, a line each.

    Raises:
        ValueError: a module can't be imported, or no reference is meant.
    """
    for module in asked.modules:
        load_module(module)
    meant = chosen(asked.references)
    print(json.dumps({"references": len(meant)}), file=answers, flush=True)
    for spec in meant:
        print(json.dumps(dataclasses.asdict(_compute(spec, asked))), file=answers, flush=True)


def chosen(patterns: str) -> Sequence[str]:
    """The references that are meant; variants only where they are named.

    Raises:
        ValueError: none is.
    """
    return [spec for spec in matching(specs(), patterns) if "@" not in spec or patterns != "*"]


def _compute(spec: str, asked: FirstSteps) -> Computed:
    try:
        card, device = get(spec).card, resolve_device(asked.device)
        size = card.batch_size
        if device.type == "cpu":
            size = max(2, sizes_within_budget([size], step_operations(get(spec), 1), _STEP_FLOPS)[0])
        size = min(size, card.batch_size)
        config = RunConfig(
            reference=spec,
            seed=card.seed if asked.seed is None else asked.seed,
            batch_size=size,
            steps=asked.steps,
            device=str(device),
            threads=1 if device.type == "cpu" else None,
            data_root=asked.data_root,
            reference_modules=asked.modules,
            keep_checkpoints=0,
            trace=True,
            **_QUIET,
        )
        with tempfile.TemporaryDirectory(prefix="gan-harness-") as folder:
            run = train(config, Path(folder) / "run")
            states = read_trace(run.folder)
        began, further = _from_checkpoints(spec, run.seed, asked)
    except Exception as error:  # whatever a stranger's code does is what this revision does
        return Computed(spec, failed=_line(error))
    samples, not_drawn = _tried(partial(_draw, run), "")
    nothing: list[MetricValue] = []
    values, not_measured = (nothing, not_drawn) if not_drawn else _tried(partial(_measure, run, asked), nothing)
    figures = {series(value.metric.name, value.protocol): value.value for value in values}
    told = {str(step): digests for step, digests in (further | states).items()}
    return Computed(spec, size, told, began, samples, figures, "", not_drawn, not_measured)


def _tried(make: Callable[[], _T], nothing: _T) -> tuple[_T, str]:
    """What a stranger's code makes, and ""; `nothing`, and why, where it fails."""
    try:
        return make(), ""
    except Exception as error:
        return nothing, _line(error)


def _draw(run: TrainedRun) -> str:
    """A digest of samples from latents that follow from the seed."""
    streams = Streams(run.seed, run.device)
    drawn = fixed_samples(run.reference, run.networks, run.dataset, streams, _SHOWN, run.seed)
    return digest(drawn.samples)


def _from_checkpoints(spec: str, seed: int, asked: FirstSteps) -> tuple[list[int], dict[int, dict[str, str]]]:
    """The steps of a kept training's checkpoints, and the states after each step from there on."""
    states: dict[int, dict[str, str]] = {}
    if asked.runs is None:
        return [], states
    kept = Path(asked.runs) / f"{folder_name(spec)}-seed{seed}"
    points = checkpoint_folders(RunFolder(kept).checkpoints)
    steps = [int(point.name.removeprefix("step-")) for point in points]
    for step, point in zip(steps, points, strict=True):
        with tempfile.TemporaryDirectory(prefix="gan-harness-") as folder:
            copy = RunFolder(Path(folder) / "run")
            shutil.copytree(point, copy.checkpoints / point.name)
            shutil.copyfile(kept / RUN_FILE, copy.path / RUN_FILE)
            states |= _go_on(copy, step, asked)
    return steps, states


def _go_on(folder: RunFolder, step: int, asked: FirstSteps) -> dict[int, dict[str, str]]:
    """The states after each of some steps more; where it can't go on, why."""
    states: dict[int, dict[str, str]] = {}
    config, _ = folder.read_run()
    config = dataclasses.replace(
        config,
        steps=step + asked.steps,
        epochs=None,
        reference_modules=asked.modules,
        checkpoint_every=0,
        trace=False,
        **_QUIET,
    )

    def look(now: int, state: TrainingState) -> None:
        states[now] = state.digests()

    try:
        train(config, folder.path, resume=True, on_step=look)
    except Exception as error:  # a network of another shape, say
        states[step + 1] = {_line(error): ""}
    return states


def _measure(run: TrainedRun, asked: FirstSteps) -> list[MetricValue]:
    """Figures of its samples; none of a reference that draws neither images nor points of the grid."""
    sampler, card = Sampler(run.reference, run.networks, run.device, run.seed), run.reference.card
    if modes := modes_of(card):
        return list(coverage_of(sampler.draw(_POINTS).double().numpy(), modes).values())
    if not is_image_reference(card):
        return []
    root = data_root(Path(asked.data_root) if asked.data_root else None, own=brings_data(run.reference))
    extractor = load_extractor(extractor_names(card, run.dataset, None)[0], run.device, root)
    return evaluate_sampler(sampler, run.dataset, min(_MEASURED, len(run.dataset)), extractor)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


if __name__ == "__main__":
    try:
        given = json.loads(sys.argv[1])
        own, sys.stdout = sys.stdout, sys.stderr  # what a stranger's code prints is no answer
        tell_first_steps(FirstSteps(**{**given, "modules": tuple(given["modules"])}), own)
    except ValueError as error:
        sys.exit(f"{error}")
