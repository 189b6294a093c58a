"""The action's own steps, run as a job runs them, in a repository that has nothing but a GAN."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits of the example: the second changes a comment."""
    folder = tmp_path_factory.mktemp("mine")
    code = (ROOT / "examples" / "my_gan.py").read_text(encoding="utf-8")
    git(folder, "init", "-q")
    for text in (code, f"{code}\n# a word more\n"):
        (folder / "my_gan.py").write_text(text, encoding="utf-8")
        (folder / ".gitignore").write_text("__pycache__/\ngan-report/\n")
        git(folder, "add", "-A")
        git(folder, "-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "my GAN")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def step(name: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """One step of the action, with its inputs as variables."""
    places = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment = os.environ | places | {"MODULE": "my_gan", "REFERENCES": "my-*"} | inputs
    script = str(ROOT / ".github" / "gate")
    return subprocess.run(
        ["bash", script, name], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.slow
def test_a_change_of_a_comment_is_kept_and_said_for_the_pull_request(repository: Path) -> None:
    compared = step("compare", repository, BASE="HEAD~1")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    checked = step("suites", repository, ARGUMENTS="-k shapes -q")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    told = step("summary", repository, GITHUB_STEP_SUMMARY=str(repository / "summary.md"))
    assert told.returncode == 0, told.stderr
    comment = (repository / "gan-report" / "comment.md").read_text(encoding="utf-8")
    assert "### HEAD against HEAD~1" in comment
    assert "**1 of 1 compute the same bits**: my-lsgan-grid" in comment
    assert re.search(r"\*\*\d+ passed, \d+ skipped\*\*", comment)
    assert (repository / "summary.md").read_text(encoding="utf-8") == comment
    tree = ET.parse(repository / "gan-report" / "junit.xml")
    assert int(next(tree.iter("testsuite")).attrib["tests"]) > 3
    assert (repository / "gan-report" / "suites" / "report.html").is_file()


def test_what_fails_is_in_the_comment_and_fails_the_job(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository, tmp_path / "mine")
    path = tmp_path / "mine" / "my_gan.py"
    path.write_text(path.read_text().replace("lr=1e-3, betas", "lr=3e-3, betas"))
    done = step("suites", tmp_path / "mine", ARGUMENTS="-k optimisers -q")
    assert done.returncode == 1, done.stdout + done.stderr
    assert step("summary", tmp_path / "mine").returncode == 0
    comment = (tmp_path / "mine" / "gan-report" / "comment.md").read_text(encoding="utf-8")
    assert "**1 failed**" in comment
    assert "| my-lsgan-grid | shapes: test_optimisers | generator: lr 0.003 instead of 0.001" in comment


def test_nothing_decided_fails_a_job_unless_it_shall_pass(repository: Path, tmp_path: Path) -> None:
    """Exit code 10, given here by a program of that name."""
    fake = tmp_path / "gan-harness"
    fake.write_text("#!/bin/sh\nexit ${CODE:-10}\n")
    fake.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert step("compare", repository, BASE="HEAD~1", PATH=path).returncode == 10
    passed = step("compare", repository, BASE="HEAD~1", PATH=path, INCONCLUSIVE="pass")
    assert (passed.returncode, passed.stdout) == (0, "::warning::nothing was decided\n")
    assert step("compare", repository, BASE="HEAD~1", PATH=path, INCONCLUSIVE="pass", CODE="1").returncode == 1
    assert step("nonsense", repository).returncode == 2


def test_every_input_is_handed_to_a_step_that_reads_it() -> None:
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    script = (ROOT / ".github" / "gate").read_text(encoding="utf-8")
    inputs = set(re.findall(r"^  (\w+): \{ description", action.partition("outputs:")[0], re.MULTILINE))
    used = set(re.findall(r"inputs\.(\w+)", action))
    assert inputs == used
    for variable in set(re.findall(r"^        ([A-Z_]+): \$\{\{ inputs", action, re.MULTILINE)):
        assert f"${{{variable}" in script or f"${variable}" in script


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "ci").glob("*.yml")), ids=lambda file: file.name)
def test_workflows_to_copy_hold_what_actionlint_asks_for(file: Path) -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint isn't installed: its package fetches a program from elsewhere")
    done = subprocess.run([actionlint, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
