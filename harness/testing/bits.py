"""The same seed gives the same bits: again, in a fresh process, and after a kill; another seed gives others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.testing.trained import Digests, digests_of

_POLL_SECONDS = 0.02
_TIMEOUT = 600.0


class Train(Protocol):
    """`train(seed, steps, folder)` trains from this seed for so many steps and may write into the folder.

    It returns what decides: networks, optimisers, state dicts, tensors or numbers, in dictionaries or lists; or None,
    and then leaves files (.pt, .pth, .safetensors) in the folder. Called with a folder in which it was killed, it goes
    on there if it can resume.
    """

    def __call__(self, seed: int, steps: int, folder: Path, /) -> Any: ...


def assert_same_bits(
    train: Train,
    folder: Path,
    *,
    seed: int = 0,
    steps: int = 4,
    fresh: bool = True,
    resumes: bool = False,
    timeout: float = _TIMEOUT,
) -> None:
    """Train several times from one seed, and once from the next; a difference is named by its first tensor.

    Args:
        folder: an empty one, such as pytest's `tmp_path`; each training gets a folder of its own in it.
        fresh: also in a fresh process, for which `train` must be at the top of a module.
        resumes: also killed by SIGKILL once it has left a file, and called again in the same folder. Take so many steps
            that there is time to kill it.
        timeout: seconds that a process may take.

    Raises:
        AssertionError: other bits; the same bits for another seed; a training that ended before it could be killed.
        ValueError: `train` returns nothing and leaves no files, or can't be imported by another process.
    """
    first = digests_of(train(seed, steps, _made(folder / "first")), folder / "first")
    _hold(first, digests_of(train(seed, steps, _made(folder / "again")), folder / "again"), "trained again")
    other = digests_of(train(seed + 1, steps, _made(folder / "other")), folder / "other")
    assert other != first, f"seeds {seed} and {seed + 1} give the same bits: train() doesn't use its seed"
    if fresh:
        child = _Child(train, seed, steps, _made(folder / "fresh"), timeout)
        _hold(first, child.result(), "in a fresh process")
    if resumes:
        place = _made(folder / "killed")
        _Child(train, seed, steps, place, timeout).kill_once_it_has_written()
        _hold(first, _Child(train, seed, steps, place, timeout).result(), "killed and resumed")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _hold(first: Digests, second: Digests, how: str) -> None:
    if first == second:
        return
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    absent = "" if names[0] in first and names[0] in second else ", which is there once alone"
    raise AssertionError(
        f"{how}: other bits, first in {names[0]}{absent} ({len(names)} of {len({**first, **second})} tensors differ)"
    )


class _Child:
    """The same training in another process, which imports `train` by its name."""

    def __init__(self, train: Train, seed: int, steps: int, folder: Path, timeout: float) -> None:
        self._folder, self._timeout = folder, timeout
        self._answer = folder.with_name(f"{folder.name}-answer.json")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        words = [_import_name(train), str(seed), str(steps), str(folder), str(self._answer)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.testing.child", *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def result(self) -> Mapping[str, str]:
        """What came of it.

        Raises:
            AssertionError: it failed, or took too long.
        """
        try:
            _, said = self._process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise AssertionError(f"a training in another process took more than {self._timeout:g} s") from None
        last = (said.strip().splitlines() or ["no word"])[-1]
        assert self._process.returncode == 0, f"a training in another process failed: {last}"
        found: dict[str, str] = json.loads(self._answer.read_text(encoding="utf-8"))
        return found

    def kill_once_it_has_written(self) -> None:
        """SIGKILL, as soon as a file lies in its folder."""
        end = time.monotonic() + self._timeout
        while not any(path.is_file() for path in self._folder.rglob("*")):
            if self._process.poll() is not None:
                self.result()
                raise AssertionError(
                    "nothing was left in the folder: a training that is killed has nothing to go on from"
                )
            assert time.monotonic() < end, f"nothing was written within {self._timeout:g} s"
            time.sleep(_POLL_SECONDS)
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        assert self._process.returncode == -signal.SIGKILL, "it ended before it could be killed: take more steps"


def _import_name(train: Train) -> str:
    module, name = getattr(train, "__module__", ""), getattr(train, "__qualname__", "")
    if not name or "<" in name or module in ("", "__main__"):
        raise ValueError(
            f"another process can't import {name or train!r}: put train() at the top of a module, or leave the fresh "
            "process out with fresh=False, resumes=False"
        )
    return f"{module}:{name}"
