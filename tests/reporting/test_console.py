from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness.reporting.console import new_console, new_table, print_anywhere

PROGRAM = "from harness.cli.__main__ import main; main()"
TRAIN = (
    "train",
    "toy-grid",
    "--steps",
    "2",
    "--reference-module",
    "tests.toys",
    "--batch-size",
    "8",
    "--no-pictures",
    "--no-tensorboard",
)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "encoding"),
    [(("--help",), "ascii"), (("list",), "latin-1"), (("doctor",), "ascii"), (TRAIN, "ascii")],
)
def test_no_command_fails_for_a_letter_that_cannot_be_shown(
    command: tuple[str, ...], encoding: str, tmp_path: Path
) -> None:
    more = ("--out", str(tmp_path / "run")) if command[0] == "train" else ()
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command, *more],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(encoding)
    assert done.stdout.decode(encoding)


def test_letters_get_their_like(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    print_anywhere()
    print("3×3 … ± 0.5 β₁")
    sys.stdout.flush()
    assert raw.getvalue() == b"3x3 ... +/- 0.5 beta?\n"


def test_nothing_is_cut_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # as some machines of CI have it, which show no table
    table = new_table("metric", "verdict")
    table.add_row("precision_of_something_" * 5, "inconclusive (needs about 92 seeds)")
    new_console().print(table)
    shown = capsys.readouterr().out
    assert "precision_of_something_" * 5 in shown
    assert "inconclusive (needs about 92 seeds)" in shown
    Console(width=40).print(table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    letters = "".join(line[1:].split("│")[0].strip() for line in lines if line.startswith("│"))
    assert letters == "precision_of_something_" * 5, "a narrow terminal folds"
