"""What a run says while it goes on: rows in files, lines in the log, curves, how far it is.

Values stay on the device until a flush, which copies all of them in one go, so that a step never waits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import torch
from torch import Tensor

from harness.records.progress import HARNESS, report_progress
from harness.training.run_folder import RunFolder

_log = logging.getLogger(__name__)

_FLUSH_SECONDS = 2.0
_SCALARS = 1000
_Pending = tuple[int, int, int, bool, tuple[str, ...], Tensor]


class NonFiniteError(ArithmeticError):
    """Training produced NaN or an infinity; the message names the step and the tensor."""


class RunLog:
    """What the harness logs at INFO and above, kept until `write_to` names a file, and written there from then on.

    Much of what a reader of `log.txt` wants to know is decided before the run has a folder.
    """

    def __init__(self) -> None:
        self._lines = MemoryHandler(sys.maxsize, flushLevel=logging.INFO, flushOnClose=False)
        self._lines.setLevel(logging.INFO)
        self._file: logging.FileHandler | None = None

    def __enter__(self) -> RunLog:
        log = logging.getLogger(HARNESS)
        self._level = log.level
        log.setLevel(min(log.getEffectiveLevel(), logging.INFO))
        log.addHandler(self._lines)
        return self

    def __exit__(self, *_: object) -> None:
        log = logging.getLogger(HARNESS)
        log.removeHandler(self._lines)
        log.setLevel(self._level)
        self._lines.close()
        if self._file is not None:
            with contextlib.suppress(OSError):  # each line was written when it was logged, or said that it can't be
                self._file.close()

    def write_to(self, path: Path) -> None:
        """Write what was kept, and all that comes.

        Raises:
            OSError: it can't be written; so does, later, whoever logs.
        """
        self._file = _LogFile(path, encoding="utf-8", errors="backslashreplace")
        self._lines.setTarget(self._file)
        self._lines.flush()


class _LogFile(logging.FileHandler):
    """Lets whoever logs know that the disk is full: a run that can't be written ends."""

    def handleError(self, record: logging.LogRecord) -> NoReturn:  # noqa: ARG002
        raise


class MetricLogger:
    """Collects the values of finished steps.

    With `averaged`, a line shows means over the steps since the line before; the files have every step's own values,
    TensorBoard those of a thousand steps of a run, of each where it has fewer.
    """

    def __init__(
        self, folder: RunFolder, total: int, done: int, *, tensorboard: bool, trace: bool, averaged: bool = False
    ) -> None:
        self._total, self._done = total, done
        self._averaged = averaged
        self._scalars_every = max(1, total // _SCALARS)
        self._sums: dict[str, float] = {}
        self._summed = 0
        self._pending: list[_Pending] = []
        self._metrics = folder.metrics.open("a", encoding="utf-8")
        self._trace = folder.trace.open("a", encoding="utf-8") if trace else None
        self._flushed_at = time.monotonic()
        self._writer: Any = None
        folder_is_text = os.fsencode(folder.path).decode(errors="replace") == str(folder.path)
        if tensorboard and not folder_is_text:
            _log.warning("nothing is written for TensorBoard: it can't write into a folder whose name isn't UTF-8")
        elif tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, and not every run wants it

            # TensorBoard hides what an earlier process wrote of the steps that are done again.
            self._writer = SummaryWriter(str(folder.tensorboard), purge_step=done + 1 if done else None)

    def __enter__(self) -> MetricLogger:
        report_progress(_log, "training", self._done, self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:  # a step that fails takes none of the rows before it along
            with contextlib.suppress(Exception):
                self.flush(durably=True)
        for stream in (self._metrics, self._trace, self._writer):
            if stream is not None:
                stream.close()

    def add(self, step: int, epoch: int, step_in_epoch: int, values: Mapping[str, Tensor], *, logged: bool) -> None:
        """Take the values of a finished step; `logged` ones are also shown, at once.

        They are copied where they lie: one may share memory with a weight, or be counted on by the next step.
        """
        taken = torch.stack([value.detach().float().reshape(()) for value in values.values()])
        self._pending.append((step, epoch, step_in_epoch, logged, tuple(values), taken))
        if logged or time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self.flush()

    def trace(self, step: int, digests: Mapping[str, str]) -> None:
        """Write the digests of the whole state after `step`."""
        if self._trace is not None:
            self._trace.write(json.dumps({"step": step, "digests": digests}) + "\n")
            self._trace.flush()

    def picture(self, name: str, image: Any, step: int) -> None:
        """Show a picture (height, width, 3) of bytes in TensorBoard."""
        if self._writer is not None:
            self._writer.add_image(name, image, step, dataformats="HWC")

    def flush(self, *, durably: bool = False) -> None:
        """Bring all pending values home and write them; `durably` before a checkpoint that counts on them.

        Raises:
            NonFiniteError: a value is NaN or infinite; the rows before it are written.
        """
        pending, self._pending = self._pending, []
        self._flushed_at = time.monotonic()
        if pending:
            self._write(pending)
        if durably:
            os.fsync(self._metrics.fileno())

    def _write(self, pending: list[_Pending]) -> None:
        numbers = iter(torch.cat([taken for *_, taken in pending]).tolist())
        for step, epoch, step_in_epoch, logged, names, _ in pending:
            row = {name: next(numbers) for name in names}
            for name, number in row.items():
                if not math.isfinite(number):
                    self._metrics.flush()
                    where = f"step {step} (epoch {epoch}, step {step_in_epoch} of it)"
                    raise NonFiniteError(f"{name} is {number} at {where}")
            place = {"step": step, "epoch": epoch, "step_in_epoch": step_in_epoch}
            self._metrics.write(json.dumps(place | row) + "\n")
            if self._averaged:
                self._sums = {name: self._sums.get(name, 0.0) + number for name, number in row.items()}
                self._summed += 1
            if self._writer is not None and (step % self._scalars_every == 0 or step == self._total):
                for name, number in row.items():
                    self._writer.add_scalar(name, number, step)
            if logged:
                self._show(place, self._means() if self._averaged else row)
        self._metrics.flush()
        losses = "  ".join(f"{name} {number:.3f}" for name, number in row.items() if name.startswith("loss"))
        report_progress(_log, "training", step, self._total, detail=losses)

    def _means(self) -> dict[str, float]:
        """The means over the steps since the last line, or since the run was resumed."""
        means = {name: total / self._summed for name, total in self._sums.items()}
        self._sums, self._summed = {}, 0
        return means

    def _show(self, place: Mapping[str, int], row: Mapping[str, float]) -> None:
        shown = "  ".join(f"{name} {number:.4f}" for name, number in row.items())
        _log.info("epoch %d  step %d  %s", place["epoch"], place["step_in_epoch"], shown)
