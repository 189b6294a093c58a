"""A run's folder: who may use it, and its files that grow line by line.

`run.json` is the resolved configuration with the environment; `metrics.jsonl` has a row per step; `trace.jsonl`, when
asked for, the digests of the whole state per step; `log.txt` what the screen showed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.files import write_text
from harness.training.config import RunConfig

RUN_FILE = "run.json"


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.trace = path / "trace.jsonl"
        self.log = path / "log.txt"
        self.checkpoints = path / "checkpoints"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"

    def start(self, *, overwrite: bool) -> None:
        """Make the folder ready for a new run.

        Raises:
            ValueError: it isn't empty, and `overwrite` is False or it isn't a run's folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, not a folder")
        self.clear_leftovers()
        if self.path.is_dir() and any(self.path.iterdir()):
            if not overwrite:
                raise ValueError(f"{self.path} isn't empty; --resume continues the run in it, --overwrite deletes it")
            if not (self.path / RUN_FILE).is_file():
                raise ValueError(f"{self.path} isn't empty and isn't a run's folder (no {RUN_FILE}): not deleted")
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True, exist_ok=True)

    def clear_leftovers(self) -> None:
        """Remove what a kill left of files that were being written: they never became anything."""
        for pattern in (f".{RUN_FILE}.*", ".metrics.jsonl.*", ".trace.jsonl.*", ".*.partial", "samples/.*.partial"):
            for file in self.path.glob(pattern):
                file.unlink()
        for folder in self.checkpoints.glob(".step-*"):
            shutil.rmtree(folder)

    def write_run(self, config: RunConfig, facts: dict[str, Any]) -> None:
        """Write `run.json`."""
        write_text(self.path / RUN_FILE, json.dumps({"config": config.to_json(), **facts}, indent=1) + "\n")

    def read_run(self) -> tuple[RunConfig, dict[str, Any]]:
        """The configuration in `run.json`, and the other facts there.

        Raises:
            ValueError: there is no such file, or it can't be read.
        """
        file = self.path / RUN_FILE
        try:
            content = json.loads(file.read_text())
            return RunConfig.from_json(content.pop("config")), content
        except FileNotFoundError:
            raise ValueError(f"{self.path} isn't a run's folder: it has no {RUN_FILE}") from None
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is damaged: {error}") from error


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a growing file; a last line that a kill cut off is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            if not line.endswith("\n"):
                return
            yield json.loads(line)


def drop_rows_after(path: Path, step: int) -> None:
    """Take back the rows of steps that a resumed run will do again."""
    if path.exists():
        rows = [row for row in read_rows(path) if row["step"] <= step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
