"""Folders that can't be written, and names that are no text: commands as a user gives them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.files.cache import CACHE_VARIABLE
from harness.records.record import read_records
from tests.processes import Program, call

ROOT = Path(__file__).parents[2]
COMMAND: Program = "gan-harness"
SUITES: Program = "pytest"
GAN = ("idl-gan-mnist", "--device", "cpu", "--batch-size", "8")
QUALITY = ("suites/test_quality.py", "-q", "-p", "no:cacheprovider", "--references", "mlp-gan-mnist", "--report-dir")
ODD = os.fsdecode(b"caf\xe9")


def run(
    program: Program, *arguments: str | Path, code: int, more: Sequence[tuple[str, str]] = (), cwd: Path = ROOT
) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in more:
            patch.setenv(name, value)
        done = call(arguments, cwd, program=program)
    shown = done.stdout + done.stderr
    assert done.returncode == code, shown
    return shown


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name isn't UTF-8, where the file system has such names."""
    folder = tmp_path / ODD
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    return folder


@pytest.mark.slow
def test_a_folder_whose_name_is_no_text_holds_runs_figures_and_reports(odd: Path) -> None:
    run(COMMAND, "train", *GAN, "--steps", "2", "--out", odd / "run", code=0)
    shown = run(COMMAND, "train", *GAN, "--steps", "3", "--out", odd / "run", "--resume", code=0)
    assert "nothing is written for TensorBoard: it can't write into a folder whose name isn't UTF-8" in shown
    run(COMMAND, "evaluate", odd / "run", "-n", "100", "--device", "cpu", code=0)
    run(COMMAND, "sample", odd / "run", "-n", "4", "--device", "cpu", code=0)
    assert (odd / "run" / "sample-seed0.safetensors").is_file()
    run(SUITES, *QUALITY, odd / "report", code=0)
    run(COMMAND, "baseline", "save", odd / "report", "--name", "kept", code=0, cwd=odd)
    assert read_records(odd / "reports" / "baselines" / "kept" / "records.jsonl")
    shown = run(COMMAND, "compare", odd / "run", odd / "report", code=10, cwd=odd)
    assert "not comparable" in shown


def test_pictures_and_a_cache_in_such_a_folder_are_read(odd: Path) -> None:
    random = np.random.default_rng(0)
    (odd / "pictures").mkdir()
    for index in range(80):
        pixels = random.integers(0, 256, (28, 28), dtype=np.uint8)
        Image.fromarray(pixels).save(odd / "pictures" / f"{index}.png")
    ask = ("evaluate", odd / "pictures", "--against", "idl-gan-mnist", "--device", "cpu", "--out", odd / "out")
    cache = [(CACHE_VARIABLE, str(odd / "cache"))]
    run(COMMAND, *ask, code=0, more=cache)
    (features,) = (odd / "cache" / "features").glob("*/features.safetensors")
    assert features.is_file()
    before = features.stat().st_mtime_ns
    run(COMMAND, *ask, code=0, more=cache)
    assert features.stat().st_mtime_ns == before, "looked up"
    assert read_records(odd / "out" / "records.jsonl")


@pytest.mark.parametrize("variable", ["HOME", CACHE_VARIABLE])
def test_a_cache_that_cannot_be_written_is_one_line_that_says_what_would_help(variable: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = [(variable, str(tmp_path / "file" / "below"))]
    if variable == "HOME":
        nowhere += [("XDG_CACHE_HOME", ""), (CACHE_VARIABLE, "")]
    shown = run(COMMAND, "train", *GAN, "--steps", "2", "--out", tmp_path / "run", code=2, more=nowhere)
    (line,) = shown.strip().splitlines()
    assert line.startswith(f"gan-harness: the cache {tmp_path / 'file' / 'below'}")
    assert line.endswith("can't be written: Not a directory; set GAN_HARNESS_CACHE to a folder that can")
    shown = run(SUITES, *QUALITY, tmp_path / "report", code=2, more=nowhere)
    assert "set GAN_HARNESS_CACHE to a folder that can; what was recorded before is kept" in shown


def test_a_plugin_that_breaks_is_no_open_verdict(tmp_path: Path) -> None:
    """pytest ends with 3 then, before anything of ours is loaded: what 'nobody can decide' must not look like."""
    (tmp_path / "broken_plugin.py").write_text("def pytest_collection_modifyitems():\n    raise RuntimeError('no')\n")
    path = [("PYTHONPATH", os.pathsep.join((str(ROOT), str(tmp_path))))]
    shown = run(SUITES, "-p", "broken_plugin", *QUALITY, tmp_path / "report", code=2, more=path)
    assert "RuntimeError: no" in shown
