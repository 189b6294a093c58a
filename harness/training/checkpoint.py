"""Checkpoints: a folder each, complete or absent; tensors as safetensors, the rest as JSON; never a pickle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.files.tensors import SafetensorError, read_tensors, write_tensors
from harness.files.writing import write_folder

FORMAT = 1
_log = logging.getLogger(__name__)
_TENSORS, _STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds. `identity` says what it may continue; see `differences`."""

    step: int
    identity: Mapping[str, str]
    scalars: dict[str, Any]
    tensors: dict[str, Tensor]


class DamagedError(ValueError):
    """A checkpoint that can't be read as it was written."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write below `folder`, then delete all but the newest `keep`; returns the checkpoint's own folder.

    Those of the same or a later step are damaged: resuming passed over them to get here. They go too.
    """
    target = folder / f"step-{checkpoint.step:08d}"
    for passed_over in (path for path in checkpoint_folders(folder) if path.name >= target.name):
        shutil.rmtree(passed_over)

    def fill(temporary: Path) -> None:
        written = write_tensors(temporary / _TENSORS, checkpoint.tensors)
        content = {
            "format": FORMAT,
            "step": checkpoint.step,
            "identity": dict(checkpoint.identity),
            "scalars": checkpoint.scalars,
            "tensors_sha256": hashlib.sha256(written).hexdigest(),
        }
        text = json.dumps(content, indent=1)
        (temporary / _STATE).write_text(f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n")

    write_folder(target, fill)
    for old in checkpoint_folders(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints below `folder`, oldest first."""
    return sorted(path for path in folder.glob("step-" + "[0-9]" * 8) if path.is_dir())


def steps_done(folder: Path) -> int:
    """After how many steps the newest checkpoint below `folder` was written, by its own word; 0 where there is none."""
    for path in reversed(checkpoint_folders(folder)):
        with contextlib.suppress(DamagedError):
            return int(_state_of(path)["step"])
    return 0


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint, onto the CPU.

    Raises:
        DamagedError: a file is missing, cut off or changed.
    """
    content = _state_of(path)
    try:
        written = (path / _TENSORS).read_bytes()
        if hashlib.sha256(written).hexdigest() != content["tensors_sha256"]:
            raise DamagedError(f"{path / _TENSORS} is damaged: its checksum doesn't match")
        tensors = read_tensors(path / _TENSORS, written)
    except (OSError, SafetensorError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    return Checkpoint(content["step"], content["identity"], content["scalars"], tensors)


def _state_of(path: Path) -> dict[str, Any]:
    """Everything of a checkpoint but its tensors."""
    try:
        text, _, checksum = (path / _STATE).read_text().rstrip("\n").rpartition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from error
    if hashlib.sha256(text.encode()).hexdigest() != checksum:
        raise DamagedError(f"{path / _STATE} is damaged: its checksum doesn't match")
    content: dict[str, Any] = json.loads(text)
    if content["format"] != FORMAT:
        raise ValueError(f"{path} has the format {content['format']}, this version reads {FORMAT}")
    if path.name != f"step-{content['step']:08d}":
        raise DamagedError(f"{path} holds the checkpoint of step {content['step']}: it was renamed")
    return content


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint below `folder` that can be read; each damaged one before it is logged.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """
    found = checkpoint_folders(folder)
    complaints = []
    for path in reversed(found):
        try:
            checkpoint = read_checkpoint(path)
        except DamagedError as error:
            complaints.append(str(error))
            continue
        for complaint in complaints:
            _log.warning(f"{complaint}; going back to {path.name}")
        return checkpoint
    if complaints:
        raise ValueError("no checkpoint can be read: " + "; ".join(complaints))
    return None


def differences(saved: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """One line per entry in which two identities differ."""
    lines = []
    for key in sorted({*saved, *present}):
        old, new = saved.get(key, "absent"), present.get(key, "absent")
        if old != new:
            lines.append(f"{key}: {old} in the checkpoint, {new} now")
    return lines
