"""A run's folder: who may use it, and its files that grow line by line.

`run.json` is the resolved configuration with the environment; `metrics.jsonl` has a row per step; `trace.jsonl`, when
asked for, the digests of the whole state per step; `looks.jsonl` what a watchdog saw, and `best` the networks that it
kept; `log.txt` what the screen showed.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.files.writing import write_text
from harness.training.config import RunConfig

RUN_FILE = "run.json"
_CLEARING = ".clearing.partial"  # lies in a folder while a run in it is deleted
# Everything that a run, `sample`, `evaluate` or a killed write leaves in a run's folder.
_OWN = re.compile(
    r"(run|environment|session)\.json|(metrics|trace|looks|records)\.jsonl|records\.\d+\.jsonl|figures\.csv|samples-.*\.png"
    r"|log\.txt|checkpoints|best|samples|tensorboard|losses\.png|real_beside_fake\.png"
    r"|progress\.gif|(sample|interpolate|arithmetic|semantic|conditional|roundtrip|inpaint)-seed\d+"
    r"(\.\d+)?\.(png|npy|txt|safetensors|json)|\.(run\.json|metrics\.jsonl|trace\.jsonl|looks\.jsonl)\..*|\..*\.partial"
)


def folder_name(spec: str) -> str:
    """A spec as the name of one folder: the paths that options may hold don't make more."""
    return spec.replace("/", "_").replace("\\", "_")


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.trace = path / "trace.jsonl"
        self.log = path / "log.txt"
        self.looks = path / "looks.jsonl"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse a folder that a new run may not use.

        Raises:
            ValueError: it isn't empty, and `overwrite` is False or it holds anything but a run.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file, not a folder")
        if not self.path.is_dir() or self.nothing_has_begun():
            return
        if not overwrite:
            raise ValueError(f"{self.path} isn't empty; --resume continues the run in it, --overwrite deletes it")
        strange = sorted(entry.name for entry in self.path.iterdir() if not _OWN.fullmatch(entry.name))
        if strange:
            raise ValueError(f"{self.path} holds {strange[0]!r}, which no run's folder has: nothing is deleted")

    def nothing_has_begun(self) -> bool:
        """Whether the folder isn't there, is empty, or holds what a run leaves that is killed before it has begun."""
        if not self.path.is_dir():
            return not self.path.exists()
        names = {entry.name for entry in self.path.iterdir()}
        if _CLEARING in names:
            return RUN_FILE not in names
        return all(name.startswith(f".{RUN_FILE}.") for name in names)

    def was_killed(self) -> bool:
        """Whether a run was about to begin in this folder: it holds something, and no run."""
        return self.nothing_has_begun() and self.path.is_dir() and any(self.path.iterdir())

    def start(self) -> None:
        """Make the folder ready for a new run; call after `check_free`.

        Killed on the way, it leaves a folder in which nothing has begun.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        mark = self.path / _CLEARING
        if any(self.path.iterdir()):
            mark.touch()
            (self.path / RUN_FILE).unlink(missing_ok=True)
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != mark:
                entry.unlink()
        mark.unlink(missing_ok=True)

    def clear_leftovers(self) -> None:
        """Remove what a kill left of files that were being written: they never became anything."""
        growing = (file.name for file in (self.metrics, self.trace, self.looks))
        for pattern in (*(f".{name}.*" for name in (RUN_FILE, *growing)), ".*.partial", "samples/.*.partial"):
            for file in self.path.glob(pattern):
                file.unlink()
        for checkpoints in (self.checkpoints, self.best):
            for folder in checkpoints.glob(".step-*"):
                shutil.rmtree(folder)

    @property
    def no_run(self) -> str:
        """What is said of a folder in which no run has begun."""
        return f"{self.path} isn't a run's folder: it has no {RUN_FILE}"

    def write_run(self, config: RunConfig, facts: dict[str, Any]) -> None:
        """Write `run.json`."""
        write_text(self.path / RUN_FILE, json.dumps({"config": config.to_json(), **facts}, indent=1) + "\n")

    def read_run(self) -> tuple[RunConfig, dict[str, Any]]:
        """The configuration in `run.json`, and what it says of the data and of the machine.

        Raises:
            ValueError: there is no such file, or it can't be read.
        """
        file = self.path / RUN_FILE
        try:
            content = json.loads(file.read_text())
            environment = dict(content.get("environment", {}))
            # Runs that began before there were windows had none; how many threads they took, their machine's facts say.
            config = RunConfig.from_json({"shuffle_window": 0} | content.pop("config"))
            if config.threads is None:
                config = dataclasses.replace(config, threads=environment.get("threads"))
            return config, {
                "data": str(content["data"]),
                "data_fingerprint": str(content["data_fingerprint"]),
                "environment": environment,
            }
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(self.no_run) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} is damaged: {error}") from error


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a growing file; a last line that a kill cut off is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith("\n"):
                return
            try:
                row = json.loads(line)
                if not isinstance(row["step"], int):
                    raise TypeError("step isn't a whole number")
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number} is damaged: {error}") from error
            yield row


def drop_rows_after(path: Path, step: int) -> None:
    """Take back the rows of steps that a resumed run will do again."""
    if path.exists():
        rows = [row for row in read_rows(path) if row["step"] <= step]
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
