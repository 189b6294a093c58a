"""What a training leaves to be looked at in a report: its losses, what a watchdog saw, its grids as an animation."""

from __future__ import annotations

from pathlib import Path

from harness.checks.loss_curves import loss_course
from harness.checks.watchdog import looks_course, read_looks
from harness.data.dataset import linspace_indices
from harness.evaluation.protocol import DIGITS
from harness.files.kept import keep_array
from harness.training import TrainedRun
from harness.training.run_folder import RunFolder, folder_name, read_rows
from harness.training.sample_grids import save_animation
from reference import Card

_FRAMES = 16


def keep_course(run: TrainedRun, spec: str, plots: Path, place: int = 0) -> None:
    """Put a finished training's losses into `plots/losses`, its looks into `plots/looks`, an animation into `plots`.

    A grid that shows what its samples were made from shows pictures of the data set: of photographs there is none.
    """
    folder = RunFolder(run.folder)
    title = f"{spec}, seed {run.seed}, {run.steps:,} steps"
    keep_array(plots / "losses", title, loss_course(list(read_rows(folder.metrics))), place)
    if looks := read_looks(folder.looks):
        keep_array(plots / "looks", title, looks_course(looks), place)
    grids = sorted(folder.samples.glob("step-*.png"))
    if len(grids) > 1 and not _shows_photographs(run.reference.card):
        some = [grids[index] for index in linspace_indices(len(grids), _FRAMES)]
        save_animation(plots / f"{folder_name(spec)}-seed{run.seed}.gif", some)


def _shows_photographs(card: Card) -> bool:
    return bool(card.condition) and card.dataset not in DIGITS
