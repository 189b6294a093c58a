"""`train`: from a configuration to a run folder. Resolve, build, loop."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from harness.data.loader import translate_worker_death
from harness.files.writing import held
from harness.training.checkpoint import checkpoint_folders
from harness.training.config import RunConfig
from harness.training.device import numerics
from harness.training.logger import RunLog
from harness.training.loop import Loop, Observe, OnStep, TrainedRun
from harness.training.resolve import check_last_batch, check_resumable, resolve, resolve_threads
from harness.training.run_folder import RUN_FILE, RunFolder
from harness.training.signals import noticing_signals

_log = logging.getLogger(__name__)


def train(
    config: RunConfig,
    out: Path,
    *,
    resume: bool | Literal["auto"] = False,
    overwrite: bool = False,
    on_step: OnStep | None = None,
    stop_on_signal: bool = False,
    same_bits: bool = False,
    stop_when: Callable[[], bool] | None = None,
    observe: Observe | None = None,
) -> TrainedRun:
    """Train as `config` says, in the folder `out`, or go on with the run that is there.

    `resume` True goes on with a run; where a kill came before anything had begun it starts, and says so. "auto" starts
    also where there is no folder, or an empty one. Nobody else may write into the folder meanwhile.

    What the harness logs meanwhile stands in the folder's `log.txt` too. `on_step` is called after every step with its
    number and the state; it may look, and may raise. With `stop_on_signal`, Ctrl-C or SIGTERM finishes the step, writes
    a checkpoint and returns; so does `stop_when`, once it says so after a step. With `same_bits`, a run that another
    device or another version has begun is refused. `observe` makes who looks at the training from its loop, such as
    `harness.checks.watchdog.Watchdog`.

    Raises:
        ValueError: a setting, a file or a folder that can't be used, named in one line.
        NonFiniteError: a loss or a parameter became NaN or infinite; the last good checkpoint is kept.
        OSError: the folder can't be written; what was complete stays.
    """
    folder = RunFolder(out)
    afresh = bool(resume) and folder.nothing_has_begun() and (resume == "auto" or folder.was_killed())
    if resume and not afresh and not (out / RUN_FILE).is_file():
        raise ValueError(f"{folder.no_run}; --auto-resume starts where nothing has begun")
    going_on = bool(resume) and not afresh
    reference, device, threads = resolve_threads(config, folder, resume=going_on)
    with RunLog() as run_log, numerics(device, deterministic=config.deterministic, threads=threads):
        # What can fail for a user's mistake comes before anything is written.
        resolved = resolve(config, reference, device, threads, folder, resume=going_on)
        if afresh:
            _log.info("nothing had begun here: starting with the first step")
        facts = resolved.facts
        _check_folder(folder, resume=going_on, overwrite=overwrite)
        with held(out):
            _check_folder(folder, resume=going_on, overwrite=overwrite)  # until now another process may have been at it
            if going_on:
                check_resumable(folder, resolved, facts, same_bits=same_bits)
            check_last_batch(resolved.config, reference, resolved.dataset)
            loop = Loop(resolved, folder, on_step, stop_when, observe)
            if going_on:
                folder.clear_leftovers()
            else:
                folder.start()
            folder.write_run(resolved.config, facts)
            return _run(loop, folder, run_log, stop_on_signal=stop_on_signal)


def _check_folder(folder: RunFolder, *, resume: bool, overwrite: bool) -> None:
    if resume:
        folder.read_run()
    else:
        folder.check_free(overwrite=overwrite)


def _run(loop: Loop, folder: RunFolder, run_log: RunLog, *, stop_on_signal: bool) -> TrainedRun:
    """The loop; where writing fails, what is kept."""
    try:
        run_log.write_to(folder.log)
        with translate_worker_death(), noticing_signals(loop.stop) if stop_on_signal else contextlib.nullcontext():
            return loop.run()
    except OSError as error:
        why = error.strerror or error
        kept = ", its checkpoints are kept" if checkpoint_folders(folder.checkpoints) else ""
        raise OSError(
            error.errno, f"writing the run failed{kept}: {why}", str(error.filename or folder.path)
        ) from error
