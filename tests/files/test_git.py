from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.files.git import revision_here


def git(*arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True, text=True
    )


def test_a_revision_is_clean_until_code_is_changed_or_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert revision_here() == ("", False)
    git("init", "-q")
    assert revision_here() == ("", False), "no commit yet"
    Path("gan.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-qm", "a")
    commit, clean = revision_here()
    assert (len(commit), clean) == (40, True)
    Path("report.md").write_text("no code\n")
    assert revision_here() == (commit, True)
    Path("other.py").touch()
    assert revision_here() == (commit, False)
    Path("other.py").unlink()
    Path("gan.py").write_text("a = 2\n")
    assert revision_here() == (commit, False)


def test_without_git_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision_here() == ("", False)
