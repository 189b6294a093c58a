from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from harness.comparison.revisions import commit_of, files_of, trees_of
from harness.files.git import uncommitted
from harness.records.record import Record, read_records
from tests.cli.test_commands import ROOT, run
from tests.comparison.test_compare import called

SIDES = ("base", "candidate")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def timeless(record: Record) -> Record:
    return dataclasses.replace(record, time="")


@pytest.mark.slow
def test_a_revision_against_itself_has_the_same_bits_and_leaves_no_worktree(tmp_path: Path) -> None:
    before = git("worktree", "list")
    done = run(
        "ab",
        "HEAD",
        "HEAD",
        "--seeds",
        "1",
        "--first-seed",
        "5",
        "--references",
        "toy-grid",
        "--reference-module",
        "tests.toys",
        "--metrics",
        "high_quality_fraction,reverse_kl",
        "--first-steps",
        "0",
        "--out",
        tmp_path / "out",
        code=0,
    )
    assert "Traceback" not in done.stderr
    assert "kept (the same values for the same seeds)" in (tmp_path / "out" / "comparison.md").read_text()
    base, candidate = (read_records(tmp_path / "out" / name / "records.jsonl") for name in ("base", "candidate"))
    assert [timeless(r) for r in base] == [timeless(r) for r in candidate]
    measured = {r.metric: r.seed for r in base if r.reference == "toy-grid" and r.status == "measured"}
    assert measured["reverse_kl"] == 5
    for name in ("base-seed5", "candidate-seed5"):
        assert (tmp_path / "out" / name / "records.jsonl").is_file()
    assert git("worktree", "list") == before


def own_repository(folder: Path) -> None:
    """Somebody's repository: their GAN, no suites, one commit."""
    folder.mkdir()
    code = (ROOT / "examples" / "my_gan.py").read_text(encoding="utf-8")
    (folder / "my_gan.py").write_text(code, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    commit(folder, "mine")


def commit(folder: Path, message: str, *replaced: tuple[str, str]) -> None:
    """Replace texts in the GAN, each of which is there, and commit everything."""
    path = folder / "my_gan.py"
    code = path.read_text(encoding="utf-8")
    for old, new in replaced:
        assert old in code
        code = code.replace(old, new)
    path.write_text(code, encoding="utf-8")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("add", "-A"), (*identity, "commit", "-q", "-m", message)):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.slow
def test_in_a_repository_of_ones_own_bits_come_first(tmp_path: Path) -> None:
    """What changes no bit is kept without a training; what does is named, and goes to the seeds."""
    mine = tmp_path / "mine"
    own_repository(mine)
    commit(mine, "a comment", ("LATENT, HIDDEN = 16, 128", "LATENT, HIDDEN = 16, 128  # small"))
    commit(mine, "refactored", ("lr=1e-3", "lr=0.1**3 if False else 1e-3"))
    commit(mine, "another beta", ("betas=(0.5, 0.999)", "betas=(0.9, 0.999)"))
    asked = ("--reference-module", "my_gan", "--references", "my-*", "--out", tmp_path / "out")
    done = run("ab", "HEAD~3", "HEAD~1", *asked, code=0, cwd=mine)
    assert "kept (same bits)" in done.stdout
    assert not (tmp_path / "out" / "base").exists(), "nothing was trained"
    table = (tmp_path / "out" / "bits.md").read_text()
    assert "1 of 1 compute the same with seed 0" in table

    done = run("ab", "HEAD~1", "HEAD", *asked, "--seeds", "1", code=10, cwd=mine)
    assert "other bits" in done.stdout
    told = (tmp_path / "out" / "bits.md").read_text()
    assert "step 1: network/generator/0.weight (29 of 54 tensors differ) | other bits" in told
    seeds = {name: {r.seed for r in read_records(tmp_path / "out" / name / "records.jsonl")} for name in SIDES}
    assert seeds == {"base": {0, None}, "candidate": {1000, None}}, "seeds must tell, other ones on either side"
    assert "my-lsgan-grid: 1 of at most 1 seeds a side: all seeds are trained" in done.stdout
    comment = (tmp_path / "out" / "comment.md").read_text()
    assert "- `my-lsgan-grid`: other bits. step 1: network/generator/0.weight" in comment
    assert "| my-lsgan-grid | modes_with_mass |" in comment


@pytest.mark.slow
def test_what_is_not_committed_plays_no_part_and_that_is_said(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    own_repository(mine)
    change_uncommitted(mine)
    asked = ("--reference-module", "my_gan", "--references", "my-*", "--out", tmp_path / "out")
    done = run("ab", "HEAD", "HEAD", *asked, code=0, cwd=mine)
    assert "what isn't committed plays no part, --dirty takes it: my_gan.py" in done.stdout


def change_uncommitted(mine: Path) -> None:
    path = mine / "my_gan.py"
    path.write_text(path.read_text(encoding="utf-8").replace("lr=1e-3", "lr=2e-3"), encoding="utf-8")


def test_dirty_takes_what_is_checked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed, new and deleted files, but none that git ignores; on top of HEAD alone."""
    mine = tmp_path / "mine"
    own_repository(mine)
    (mine / "gone.py").write_text("")
    (mine / ".gitignore").write_text("data\n")
    commit(mine, "more")
    change_uncommitted(mine)
    (mine / "gone.py").unlink()
    (mine / "new.py").write_text("")
    (mine / "data").write_text("")
    monkeypatch.chdir(mine)
    assert uncommitted() == ["gone.py", "my_gan.py", "new.py"]
    with trees_of("HEAD", "HEAD", dirty=True) as trees:
        assert "lr=1e-3" in (trees["base"] / "my_gan.py").read_text(encoding="utf-8")
        assert "lr=2e-3" in (trees["candidate"] / "my_gan.py").read_text(encoding="utf-8")
        assert {path.name for path in trees["candidate"].iterdir()} == {".gitignore", "my_gan.py", "new.py"}
    with (
        pytest.raises(
            ValueError, match="--dirty takes what isn't committed on top of HEAD, and the candidate is HEAD~1"
        ),
        trees_of("HEAD", "HEAD~1", dirty=True),
    ):
        pass


@pytest.mark.slow
def test_a_module_that_one_revision_lacks_gets_one_line(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    own_repository(mine)
    (mine / "my_gan.py").rename(mine / "their_gan.py")
    (mine / "my_gan.py").write_text("")
    commit(mine, "renamed")
    done = run("ab", "HEAD~1", "HEAD", "--reference-module", "their_gan", "--references", "my-*", code=2, cwd=mine)
    assert done.stderr.strip().splitlines()[-1].startswith("gan-harness: the base's first steps can't be had: ")
    assert "'their_gan' can't be imported" in done.stderr


def test_a_revision_is_named_by_its_commit() -> None:
    assert commit_of("HEAD") == git("rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("base", "candidate", "message"),
    [
        ("no-such-branch", "HEAD", "'no-such-branch' can't be compared: no such revision, and no folder or file of"),
        ("HEAD", "no-such-branch", "'no-such-branch' can't be compared: no such revision, and no folder or file of"),
        ("HEAD:README.md", "HEAD", "'HEAD:README.md' can't be compared"),
        (".", "no-such-branch", ". is a path and no git revision: `gan-harness compare` compares records"),
        ("HEAD", ".", ". is a path and no git revision: `gan-harness compare` compares records"),
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
    assert called(monkeypatch, "ab", base, candidate, "--out", tmp_path / "out") == 2
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
    assert called(monkeypatch, "ab", "HEAD", "HEAD~1") == 2
    said = capsys.readouterr().err
    assert said.startswith("gan-harness: 'HEAD' can't be compared")
    assert said.count("\n") == 1


def small_repository(folder: Path) -> None:
    folder.mkdir()
    (folder / "kept.txt").write_text("one\n")
    (folder / "hooks").mkdir()
    hook = folder / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch hook-ran\n")
    hook.chmod(0o755)
    for arguments in (
        ("init", "-q"),
        ("config", "core.hooksPath", str(folder / "hooks")),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def state_of(folder: Path) -> dict[str, bytes]:
    """Every file of a repository, its own ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(kind: str, tmp_path: Path) -> Path:
    """A repository of this kind with one commit."""
    small_repository(tmp_path / "usual")
    if kind == "usual":
        return tmp_path / "usual"
    place = tmp_path / kind
    commands = {
        "bare": ["clone", "-q", "--bare", "usual", "bare"],
        "shallow": ["clone", "-q", "--depth", "1", f"file://{tmp_path / 'usual'}", "shallow"],
        "worktree": ["-C", "usual", "worktree", "add", "-q", "--detach", str(place)],
        "submodule": ["-c", "protocol.file.allow=always", "clone", "-q", "usual", "outer"],
    }
    subprocess.run(["git", *commands[kind]], cwd=tmp_path, check=True)
    if kind == "submodule":
        add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "usual"), "inner"]
        subprocess.run(["git", *add], cwd=tmp_path / "outer", check=True)
        return tmp_path / "outer" / "inner"
    return place


@pytest.mark.parametrize("kind", ["usual", "bare", "shallow", "worktree", "submodule"])
def test_a_commit_is_read_and_the_repository_stays_as_it_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = made(kind, tmp_path)
    before = state_of(tmp_path)
    monkeypatch.chdir(repository)
    # As git sets it for the hooks of `commit -a`: what lies in this index is what will be committed.
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index-of-a-commit"))
    monkeypatch.setenv("GIT_PREFIX", "")
    with files_of(commit_of("HEAD")) as tree:
        assert (tree / "kept.txt").read_text() == "one\n"
        assert not (tree / "hook-ran").exists()
    assert not tree.exists()
    assert state_of(tmp_path) == before


def test_a_comparison_in_a_hook_leaves_the_commit_whole(tmp_path: Path) -> None:
    """`commit -a` came out empty when a hook compared revisions with the index that git had handed to it."""
    small_repository(tmp_path / "usual")
    hook = tmp_path / "usual" / "hooks" / "pre-commit"
    read = "from harness.comparison.revisions import *\nwith files_of(commit_of('HEAD')) as tree: print(tree)"
    hook.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} {sys.executable} -c "{read}"\n')
    hook.chmod(0o755)
    (tmp_path / "usual" / "kept.txt").write_text("two\n")
    commit = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "two"]
    subprocess.run(commit, cwd=tmp_path / "usual", check=True)
    asked = {"cwd": tmp_path / "usual", "capture_output": True, "text": True, "check": True}
    assert subprocess.run(["git", "show", "HEAD:kept.txt"], **asked).stdout == "two\n"  # type: ignore[call-overload]
    assert subprocess.run(["git", "status", "--short"], **asked).stdout == "?? hooks/pre-commit\n"  # type: ignore[call-overload]
