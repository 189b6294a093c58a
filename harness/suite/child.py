"""A process that collects once and then does the checks it is told to, seen from the one that tells it.

It is told, and answers, in lines of JSON on two pipes of its own: pytest takes its standard input. What its checks tell
goes into its journal in the report, so that nothing is lost when it, or whoever told it, is killed. This module imports
nothing that takes long: Ray's workers are such tellers.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from harness.records.report_folder import CHECKS
from harness.suite.journal import Tail, Told

_STOPPING_SECONDS = 30.0  # that it gets to finish a step and write a checkpoint
_SAID = 300  # characters


class LostError(OSError):
    """The process ended without a word: killed, or out of memory. What it had told is in its journal."""


class RefusedError(ValueError):
    """The process can't do anything for this run, and said why."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Command:
    """How such a process is started, wherever.

    Attributes:
        arguments: pytest's, of the run that it belongs to.
        folder: the working directory.
        report: the report folder, absolute.
        run: what tells the run from any other.
        environ: variables that must be as they are where the run was started; None unsets one.
        threads: CPU threads of its trainings; None for as many as PyTorch takes.
        until: when it must have ended, in seconds since the epoch.
        kept: the references that have the baseline's bits.
    """

    arguments: tuple[str, ...]
    folder: str
    report: str
    run: str
    environ: Mapping[str, str | None]
    threads: int | None = None
    until: float | None = None
    kept: tuple[str, ...] = ()


class Child:
    """The process, seen from the one that tells it.

    Args:
        mask: the GPUs that it may see, as CUDA_VISIBLE_DEVICES; None for all.

    Attributes:
        environment: the machine that it has found; None until it has answered for the first time.

    Raises:
        RefusedError: it can't start.
    """

    environment: Mapping[str, Any] | None = None

    def __init__(self, command: Command, mask: str | None) -> None:
        for folder, what in ((command.folder, "the working directory"), (command.report, "the report folder")):
            if not Path(folder).is_dir():
                raise RefusedError(f"{what} {folder} isn't on {platform.node()}: all nodes must share it")
        environ = {**os.environ, **{name: value for name, value in command.environ.items() if value is not None}}
        for name in [name for name, value in command.environ.items() if value is None]:
            environ.pop(name, None)
        if mask is not None:
            environ["CUDA_VISIBLE_DEVICES"] = mask
        reading, writing = os.pipe()
        their_reading, my_writing = os.pipe()
        journal = Path(command.report) / CHECKS / f"{platform.node()}-{os.getpid()}-{time.time_ns()}.jsonl"
        self._tail, self._log = Tail(journal), journal.with_suffix(".txt")
        told = {"pipes": [their_reading, writing], "journal": str(journal)} | _plain(command)
        asked = [sys.executable, "-m", "pytest", *command.arguments, "--report-dir", command.report]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*asked, "--joins", json.dumps(told)],
                cwd=command.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[their_reading, writing],
            )
        os.close(writing)
        os.close(their_reading)
        self._asks: TextIO = os.fdopen(my_writing, "w", encoding="utf-8")
        self._answers: TextIO = os.fdopen(reading, encoding="utf-8")

    def do(self, places: Sequence[int]) -> list[Told]:
        """Do checks, by their places in the whole run; returns what they told.

        Raises:
            RefusedError: it can do nothing for this run, or the run can't go on: a full disk, or time that is over.
            LostError: it ended meanwhile.
        """
        if self.environment is None:
            self.answer()
        self.ask(places)
        return self.answer()

    def ask(self, places: Sequence[int]) -> None:
        """Say which checks to do next."""
        with contextlib.suppress(BrokenPipeError):  # its answer will tell
            self._asks.write(json.dumps(list(places)) + "\n")
            self._asks.flush()

    def answer(self) -> list[Told]:
        """What it has told of the checks that it was asked for last; nothing, with its first answer.

        Raises:
            RefusedError, LostError: see `do`.
        """
        answer = self._answer()
        self.environment = answer.get("environment", self.environment)
        return list(self._tail.news())

    def fileno(self) -> int:
        """What can be read from when it has answered, for `select`."""
        return self._answers.fileno()

    @property
    def runs(self) -> bool:
        """Whether it hasn't ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Ask it to end; a training writes a checkpoint first."""
        self._process.terminate()

    def stop(self) -> None:
        """End it, in order if it can."""
        self.terminate()
        try:
            self._process.wait(_STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._ended()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            if "refused" in answer:
                self._ended()
                raise RefusedError(answer["refused"], answer["exit_code"])
            return answer
        code = self._ended()
        if code in (2, 3, 4):  # wrong use, or a fault of ours: it would end so again
            raise RefusedError(f"on {platform.node()}: {self._last_words() or f'see {self._log}'}")
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise LostError(f"a process on {platform.node()} ended with {ended}")

    def _ended(self) -> int:
        """Wait for it, and let go of its pipes; returns its exit code."""
        code = self._process.wait()
        for pipe in (self._asks, self._answers):
            with contextlib.suppress(BrokenPipeError):  # what it didn't read any more
                pipe.close()
        return code

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line for line in lines if "gan-harness: " in line or line.startswith("ERROR")]
        return said[-1].partition("gan-harness: ")[2][:_SAID] or said[-1][:_SAID] if said else ""


def _plain(command: Command) -> dict[str, Any]:
    return {"run": command.run, "threads": command.threads, "until": command.until, "kept": list(command.kept)}
