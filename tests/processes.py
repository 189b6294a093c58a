"""`gan-harness` and pytest in processes that start at once: copies of one that has imported everything, and no more.

What such a process does to its files, its signals and its exit code is real; only the seconds that importing PyTorch
takes are saved. Where they matter, tests start a fresh interpreter.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

import pytest

from harness.cli.__main__ import main

_PRELOADED = [
    "harness.cli.__main__",
    "harness.training",
    "harness.latents.sample",
    "harness.evaluation.evaluate",
    "harness.memory.record",
    "harness.comparison.compare",
    "sklearn.datasets",
    "tensorboard",
    "torchvision",
    "harness.suite.session",
    "pytest",
]


_QUICKLY = ("-p", "no:hypothesispytest")  # it imports itself whole, two seconds long, and no suite draws examples
Program = Literal["gan-harness", "pytest"]


def in_a_process_of_its_own(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a copy of this process: what a killed child raises there, whenever it likes, ends with it."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        child = os.fork()
        if not child:
            code = 1
            try:
                test(*arguments, **named)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0

    return run


class Life:
    """A process that runs a command, with the few names of `subprocess.Popen` that tests need."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        cwd: Path,
        stdout: str = os.devnull,
        stderr: str = os.devnull,
        program: Program = "gan-harness",
    ) -> None:
        asked = [str(argument) for argument in arguments]
        given = (program, asked, str(cwd), dict(os.environ), stdout, stderr)
        self._process = _context().Process(target=_live, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, the signal's number below 0 when one ended it."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("gan-harness", timeout or 0)
        return self._process.exitcode


def call(
    arguments: Sequence[str | Path], cwd: Path, timeout: float = 300, program: Program = "gan-harness"
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` would with its output captured."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        life = Life(arguments, cwd, str(out), str(err), program)
        try:
            code = life.wait(timeout)
        finally:
            life.kill()
        return subprocess.CompletedProcess(list(arguments), code, *(_text(path) for path in (out, err)))


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="surrogateescape")


def _context() -> ForkServerContext:
    multiprocessing.set_forkserver_preload(_PRELOADED)
    return multiprocessing.get_context("forkserver")


def _live(program: Program, arguments: list[str], cwd: str, environ: dict[str, str], stdout: str, stderr: str) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal, however the tests were started
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [program, *arguments]
    sys.exit(pytest.main([*arguments, *_QUICKLY])) if program == "pytest" else main()
