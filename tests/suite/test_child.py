"""A process that joins a run: where it can't, on this node or another, it says why in a line."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records.report_folder import CHECKS
from harness.suite.child import Child, Command, RefusedError
from harness.suite.journal import read_collected, write_collected
from tests.suite.test_jobs import ROOT, ended
from tests.suite.test_merge import start

ASKED = ("suites", "-q", "-p", "no:cacheprovider", "-k", "shapes", "--reference-module", "tests.toys")
HERE = platform.node()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """To join a run of a toy's shapes."""
    report = tmp_path_factory.mktemp("joined") / "report"
    asked = (*ASKED, "--references", "toy-grid")
    ended(start(report, "-k", "shapes", "--references", "toy-grid", "--jobs", "1"), report)
    there = read_collected(report / CHECKS)
    assert there is not None
    return Command(asked, str(ROOT), str(report), there.run, {"PYTHONPATH": str(ROOT)}, threads=1)


def refusals(commands: Sequence[Command]) -> list[str]:
    """What each of several processes, started at once, says against its first check."""
    said = []
    for child in [Child(command, "") for command in commands]:
        with pytest.raises(RefusedError) as error:
            child.do([0])
        assert not child.runs
        said.append(str(error.value))
    return said


def elsewhere(command: Command, folder: Path, **changes: Any) -> Command:
    """The same for a copy of the report, in which the run says something else of itself."""
    shutil.copytree(command.report, folder)
    there = read_collected(folder / CHECKS)
    assert there is not None
    code = there.code | changes.pop("code", {})
    write_collected(folder / CHECKS, replace(there, code=code, **changes))
    return replace(command, report=str(folder))


def test_it_does_what_it_is_told_and_says_what_it_sees(command: Command) -> None:
    child = Child(command, "7")
    assert [one.place for one in child.do([2, 0])] == [2, 0]
    (facts,) = json.loads((Path(command.report) / "environment.json").read_text()).values()
    assert child.environment is not None
    assert child.environment["device"] == facts["device"]
    assert child.runs
    child.stop()
    assert not child.runs


def test_a_folder_that_is_not_there_is_named(command: Command, tmp_path: Path) -> None:
    for changed, what in (
        (replace(command, folder="/no/where"), "the working directory /no/where"),
        (replace(command, report=str(tmp_path / "none")), f"the report folder {tmp_path}/none"),
    ):
        with pytest.raises(RefusedError, match=f"^{what} isn't on {HERE}: all nodes must share it$"):
            Child(changed, "")


def test_a_node_on_which_something_else_lies_is_refused_by_name(command: Command, tmp_path: Path) -> None:
    said = refusals(
        [
            elsewhere(command, tmp_path / "run", run="another"),
            elsewhere(command, tmp_path / "code", code={"harness": "of another version"}),
            elsewhere(command, tmp_path / "checks", checks="others"),
            replace(command, arguments=(*command.arguments, "--seeds", "0")),
            replace(command, arguments=(*command.arguments, "-p", "tests.full_disk")),
        ]
    )
    assert said[:4] == [
        f"{tmp_path}/run on {HERE} isn't this run's: all nodes must share it",
        f"the code of harness is another on {HERE} than where the run began",
        f"what is to be checked is another on {HERE} than where the run began",
        f"on {HERE}: --seeds must be 1 or more, not 0",
    ]
    assert said[4].startswith(f"{command.report}/checks/{HERE}-{os.getpid()}-"), said
    assert said[4].endswith(f".jsonl on {HERE}: File too large; what was told before is kept"), said
