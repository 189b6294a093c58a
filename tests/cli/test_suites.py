"""Which of `gan-harness suites`' arguments name a suite, and which belong to options."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.suites import asked_of_suites, suite_at, suites_folder
from tests.processes import call

FOLDER = suites_folder()
MODES = str(FOLDER / "test_modes.py")


@pytest.mark.parametrize("named", ["test_modes.py", "suites/test_modes.py", "./suites/test_modes.py", MODES])
def test_a_suite_is_named_by_its_file_or_its_path(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER.parent)
    assert suite_at(named, FOLDER) == MODES
    assert suite_at(f"{named}::test_modes[x-1]", FOLDER) == f"{MODES}::test_modes[x-1]"


@pytest.mark.parametrize(
    "other", ["/data/celeba", "runs/a", ".", "..", "suites", "--seeds", "my-*", "", "test_mine.py"]
)
def test_values_of_options_are_no_suites(other: str) -> None:
    assert suite_at(other, FOLDER) is None


def test_a_users_own_file_of_the_same_name_is_no_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_modes.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert suite_at("tests/test_modes.py", FOLDER) is None
    assert suite_at("test_modes.py", FOLDER) == MODES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--references", "nothing-*"], "no reference matches 'nothing-*'"),
        (["--profile", "huge"], "huge"),
        (["--reference-module", "nowhere"], "nowhere"),
        (["--of-nobody"], "unrecognized arguments: --of-nobody"),
        (["-k", "no_such_check"], "deselected"),
    ],
)
def test_wrong_use_ends_with_two(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = call(["suites", *arguments], tmp_path)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_run_was_asked_for_leaves_out_where_and_which_part() -> None:
    """As given in a clone, and as `gan-harness suites` passes it on to pytest."""
    asked = ["-rs", "-k", "suites", "--seeds", "2", "--baseline=kept", "--benchmark-disable"]
    place = ["--report-dir", "shards/3", "--shard=3/8", "--resume", "--time-limit", "55m", "--jobs", "2"]
    assert asked_of_suites(["suites", *place, *asked]) == asked
    packaged = ["-p", "harness.suite.plugin", "-c", "/x/pytest.ini", "--rootdir", "/y", "--import-mode", "importlib"]
    packaged += ["-p", "no:hypothesispytest", "/env/harness/suites", "-p", "no:cacheprovider"]
    assert asked_of_suites([*packaged, *asked]) == ["-p", "no:cacheprovider", *asked]
    assert asked_of_suites(["suites/test_modes.py::test_modes[x-1]", "/a/test_shapes.py"]) == [
        "test_modes.py::test_modes[x-1]",
        "test_shapes.py",
    ]
