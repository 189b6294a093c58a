"""git, as the repository of the current folder has it, whatever a hook says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# `git rev-parse --local-env-vars`: what says which repository is meant, and where its parts lie.
_GITS_OWN = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}


def without_gits_own() -> dict[str, str]:
    """The environment without what git tells the commands of a hook: another index, another repository."""
    return {name: value for name, value in os.environ.items() if name not in _GITS_OWN}


def run_git(*arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """`git ARGUMENTS`, with `more` in its environment; its failure is the caller's to read.

    Raises:
        FileNotFoundError: there is no git.
    """
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=without_gits_own() | more, capture_output=True, text=True, check=False
    )


def revision_here() -> tuple[str, bool]:
    """The commit of the current folder's repository, "" where there is none, and whether its code is all committed."""
    try:
        commit = run_git("rev-parse", "--verify", "--quiet", "HEAD")
        return ("", False) if commit.returncode else (commit.stdout.strip(), not uncommitted())
    except FileNotFoundError:
        return "", False


def uncommitted() -> list[str]:
    """The files whose content no commit of the current folder's repository has.

    One that git doesn't know counts if it is Python's.

    Raises:
        FileNotFoundError: there is no git.
    """
    changed = run_git("status", "--porcelain", "--untracked-files=no").stdout.splitlines()
    unknown = run_git("ls-files", "--others", "--exclude-standard", "--", "*.py").stdout.splitlines()
    return [line[3:] for line in changed] + unknown
