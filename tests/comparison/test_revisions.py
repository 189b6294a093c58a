from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from harness.comparison.revisions import commit_of
from harness.record import Record, read_records
from tests.comparison.test_command import called
from tests.test_cli import ROOT, run


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def timeless(record: Record) -> Record:
    return dataclasses.replace(record, time="")


@pytest.mark.slow
def test_a_revision_against_itself_has_the_same_bits_and_leaves_no_worktree(tmp_path: Path) -> None:
    before = git("worktree", "list")
    done = run(
        "compare", "HEAD", "HEAD", "--seeds", "1", "--first-seed", "5", "--references", "toy-grid",
        "--reference-module", "tests.toys", "--metrics", "high_quality_share_9,reverse_kl_9", "--out", tmp_path / "out",
        code=3,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "inconclusive" in (tmp_path / "out" / "comparison.md").read_text(), "one seed a side settles nothing"
    base, candidate = (read_records(tmp_path / "out" / name / "records.jsonl") for name in ("base", "candidate"))
    assert [timeless(r) for r in base] == [timeless(r) for r in candidate]
    measured = {r.metric: r.seed for r in base if r.reference == "toy-grid" and r.status == "measured"}
    assert measured["reverse_kl_9"] == 5
    for name in ("base-seed5", "candidate-seed5"):
        assert (tmp_path / "out" / name / "records.jsonl").is_file()
    assert git("worktree", "list") == before


def test_a_revision_is_named_by_its_commit() -> None:
    assert commit_of("HEAD") == git("rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("base", "candidate", "message"),
    [
        ("no-such-branch", "HEAD", "'no-such-branch' can't be compared: no such revision, and no folder or file of"),
        ("HEAD", "no-such-branch", "'no-such-branch' can't be compared: no such revision, and no folder or file of"),
        ("HEAD:README.md", "HEAD", "'HEAD:README.md' can't be compared"),
        (".", "no-such-branch", "no-such-branch isn't there: records can be compared with records, revisions with"),
        ("HEAD", ".", "HEAD isn't there: records can be compared with records, revisions with revisions"),
    ],
)
def test_what_is_no_revision_gets_one_line(
    base: str,
    candidate: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    before = git("worktree", "list")
    assert called(monkeypatch, "compare", base, candidate, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"gan-harness: {message}")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert git("worktree", "list") == before


def test_outside_a_repository_revisions_get_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert called(monkeypatch, "compare", "HEAD", "HEAD~1") == 2
    said = capsys.readouterr().err
    assert said.startswith("gan-harness: 'HEAD' can't be compared")
    assert said.count("\n") == 1
