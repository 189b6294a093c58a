"""A metric over revisions: in the order of commits, the same values once, steps named by their commits."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.comparison.history import courses, courses_table, read_history
from harness.comparison.rule import Rule
from harness.records.record import Record
from tests.comparison.test_compare import called
from tests.comparison.test_points import fid, report

REVISIONS = [f"{number:x}" * 40 for number in range(1, 9)]


def night(at: Path, number: int, level: float, seed: int | None = None) -> Path:
    """A report of a night's revision: five seeds around a level, their noise by `seed`."""
    random = np.random.default_rng(number if seed is None else seed)
    records = [
        fid(level + 0.1 * random.standard_normal(), s, time=f"2026-11-{10 + number}T01:00:00+00:00") for s in range(5)
    ]
    return report(at / f"night{number}", records, revision=REVISIONS[number])


def test_a_step_is_named_by_the_commits_on_either_side(tmp_path: Path) -> None:
    for number in (3, 1, 0, 2, 4, 5):
        night(tmp_path, number, 10.0 if number < 3 else 12.0)
    (course,) = courses(read_history([tmp_path]), Rule())
    assert [group.revisions[0] for group in course.groups] == REVISIONS[:6], "in the order of time, not of names"
    (step,) = course.steps
    assert step.place == 3
    assert course.said(step).startswith("worse at 4444444, after 3333333: 9.999 to 11.99, p = 0.0005")
    table = courses_table([course])
    assert table["revisions"].tolist() == [6]
    assert table["steps"].tolist()[0].startswith("worse at 4444444")


def test_what_has_the_same_values_is_counted_once(tmp_path: Path) -> None:
    """The saboteur: eight nights of two codes. Their values stand eight times there, and tell as little as two."""
    for number in range(8):
        night(tmp_path, number, 10.0, seed=0 if number < 4 else 1)
    (course,) = courses(read_history([tmp_path]), Rule())
    assert [len(group.revisions) for group in course.groups] == [4, 4]
    assert course.steps == ()


def test_only_what_was_measured_in_the_same_way_is_one_series(tmp_path: Path) -> None:
    night(tmp_path, 0, 10.0)
    other = [fid(5.0, seed, n=50, time="2026-11-12T01:00:00+00:00") for seed in range(5)]
    report(tmp_path / "other", other, revision=REVISIONS[1])
    elsewhere = [replace(r, device="another card") for r in other]
    report(tmp_path / "elsewhere", elsewhere, revision=REVISIONS[2])
    assert courses(read_history([tmp_path]), Rule()) == []


def test_reports_that_say_no_commit_have_no_history(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no report lies there"):
        read_history([tmp_path])
    report(tmp_path / "a", [fid(1.0, 0)], revision="")
    with pytest.raises(ValueError, match="a doesn't say of which commit it is"):
        read_history([tmp_path])


def test_commits_order_reports_where_git_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that was made again later belongs where its commit is."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    commits = []
    for number in (1, 2):
        when = f"2026-11-0{number}T00:00:00+0000"
        identity = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        for name in ("AUTHOR", "COMMITTER"):
            identity |= {f"GIT_{name}_NAME": "a", f"GIT_{name}_EMAIL": "a@b"}
        subprocess.run(
            ["git", "commit", "-q", "--allow-empty", "-m", "x"], check=True, env=identity | {"PATH": "/usr/bin:/bin"}
        )
        commits.append(
            subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        )
    made: list[Record] = [fid(1.0, 0, time="2026-11-20T00:00:00+00:00")]
    report(tmp_path / "first", made, revision=commits[0])
    report(tmp_path / "second", [replace(made[0], time="2026-11-10T00:00:00+00:00")], revision=commits[1])
    assert [m.revision for m in read_history([tmp_path])] == commits


def test_the_command_writes_the_page_and_names_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        night(tmp_path / "reports", number, 10.0 if number < 3 else 8.0)
    out = tmp_path / "out"
    assert called(monkeypatch, "history", tmp_path / "reports", "--out", out) == 0
    assert "toy-grid, fid: better at 4444444, after 3333333" in capsys.readouterr().out
    page = (out / "history.html").read_text()
    assert "better at 4444444" in page
    assert "data:image/png;base64" in page
    assert (out / "history.csv").is_file()
    for given, said in (
        ((tmp_path / "none",), "none is no folder"),
        ((tmp_path / "reports", "--alpha", "2"), "--alpha must lie between 0 and 1, not 2"),
        ((tmp_path / "reports", "--metrics", "kid"), "there is no history yet"),
    ):
        assert called(monkeypatch, "history", *given) == 2
        assert said in capsys.readouterr().err
