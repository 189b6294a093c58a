"""Convergence points: values by training length and seed, more of them, and how many a candidate needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.baseline import add_to_baseline, read_record_set, save_baseline
from harness.comparison.points import at_the_candidates_length, merged, points_of, points_table, seeds_to_judge
from harness.comparison.rule import Rule
from harness.comparison.verdicts import compare
from harness.records.record import Record, append_record
from harness.records.report_folder import Asked, write_session
from tests.cli.test_commands import ROOT
from tests.comparison.test_compare import called
from tests.comparison.test_revisions import commit, own_repository
from tests.records.test_record import record


def fid(value: float, seed: int, epochs: float = 2.0, **changes: object) -> Record:
    about = {"suite": "quality", "metric": "fid", "better": "lower", "headline": True, "n": 100, "batch_size": 8}
    return record(value=value, seed=seed, epochs=epochs, **(about | changes))


SIXTEEN = [fid(10 + 0.1 * seed, seed) for seed in range(16)]


def report(folder: Path, records: list[Record], revision: str = "a" * 40) -> Path:
    for entry in records:
        append_record(folder / "records.jsonl", entry)
    write_session(folder, Asked(("toy-grid",), (), revision, clean=True))
    return folder


def test_a_point_is_a_training_length_of_a_reference() -> None:
    longer = [fid(5.0, seed, epochs=4.0) for seed in (0, 1)]
    points = points_of([*SIXTEEN, *longer, fid(1.0, 0, suite="speed", headline=False)])
    assert [(point.epochs, len(point.values)) for point in points] == [(2.0, 16), (4.0, 2)]
    table = points_table(points)
    assert table["epochs"].tolist() == ["2", "4"]
    assert table["median (range)"].tolist() == ["10.75 (10 to 11.5)", "5 (5 to 5)"]
    assert table["standard deviation"].tolist() == ["0.48", "0"]
    assert not points_of(SIXTEEN, Rule(metrics=("kid",)))


def test_a_candidate_is_held_against_trainings_of_its_own_length() -> None:
    base = [*SIXTEEN, *(fid(50.0 + seed, seed, epochs=1.0) for seed in range(16))]
    candidate = [fid(10.6 + 0.1 * seed, 100 + seed) for seed in range(4)]
    assert at_the_candidates_length(base, candidate) == SIXTEEN
    (found,) = compare(base, candidate)
    assert (found.verdict, len(found.base)) == ("kept", 16)
    (other,) = compare(base, [fid(10.0, 100, epochs=3.0)])
    assert (other.verdict, other.reason) == ("not comparable", "epochs: 2.0 against 3.0")


def test_three_seeds_against_sixteen_tell() -> None:
    """The saboteur: a candidate that is worse, by as much as the seeds lie apart."""
    (found,) = compare(SIXTEEN, [fid(12.0 + 0.1 * seed, 100 + seed) for seed in range(3)])
    assert found.verdict == "worse"


@pytest.mark.parametrize(("stored", "metrics", "seeds"), [(16, 5, 3), (12, 5, 3), (8, 5, 4), (5, 5, 5), (16, 1, 2)])
def test_the_more_are_stored_the_fewer_a_candidate_needs(stored: int, metrics: int, seeds: int) -> None:
    assert seeds_to_judge(stored, metrics, 0.05) == seeds


def test_one_stored_seed_never_tells() -> None:
    with pytest.raises(ValueError, match="1 stored seeds can't tell of 5 metrics: add more"):
        seeds_to_judge(1, 5, 0.05)


def test_seeds_and_lengths_are_added_once() -> None:
    more = [fid(9.0, 16), SIXTEEN[3], fid(4.0, 0, epochs=4.0)]
    assert merged(SIXTEEN, more) == [*SIXTEEN, more[0], more[2]]
    with pytest.raises(ValueError, match=r"fid of toy-grid, seed 3, is there already as 10[.]3, and is 11 now"):
        merged(SIXTEEN, [fid(11, 3)])


def test_a_baseline_grows_by_reports_of_the_same_code(tmp_path: Path) -> None:
    into = tmp_path / "baselines"
    save_baseline(report(tmp_path / "first", SIXTEEN[:5]), "main", overwrite=False, into=into)
    kept, new = add_to_baseline(report(tmp_path / "more", SIXTEEN[3:9]), "main", into=into)
    assert new == 4
    assert read_record_set(kept) == SIXTEEN[:9]
    other = report(tmp_path / "other", SIXTEEN[9:], revision="b" * 40)
    with pytest.raises(ValueError, match=r"main is of the code at aaaaaaaaaaaa, .*other of bbbbbbbbbbbb"):
        add_to_baseline(other, "main", into=into)
    assert add_to_baseline(other, "main", any_revision=True, into=into)[1] == 7
    failed = fid(1.0, 20, status="failed", reason="loss is nan")
    with pytest.raises(ValueError, match="bad holds 1 failed checks, the first fid of toy-grid"):
        add_to_baseline(report(tmp_path / "bad", [failed]), "main", into=into)
    with pytest.raises(ValueError, match="nowhere holds no records"):
        add_to_baseline(other, "nowhere", into=into)


def test_the_commands_add_and_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    report(tmp_path / "first", SIXTEEN[:5])
    report(tmp_path / "more", SIXTEEN[5:])
    assert called(monkeypatch, "baseline", "save", "first", "--first-steps", "0") == 0
    assert called(monkeypatch, "baseline", "add", "more") == 0
    assert "reports/baselines/main: 11 values added" in capsys.readouterr().out
    assert called(monkeypatch, "baseline", "show", "main", "--metrics", "fid") == 0
    assert "16" in capsys.readouterr().out
    assert called(monkeypatch, "baseline", "show", "main", "--metrics", "kid") == 2
    assert "holds no trainings of which a metric takes part" in capsys.readouterr().err
    assert called(monkeypatch, "ab", "HEAD", "HEAD", "--speed", "--points", "main") == 2
    assert "--points has no effect with --speed" in capsys.readouterr().err
    monkeypatch.chdir(ROOT)
    assert called(monkeypatch, "ab", "HEAD", "HEAD", "--points", "nope") == 2
    assert "--points nope: there is neither such a folder nor the baseline reports" in capsys.readouterr().err


@pytest.mark.slow
def test_a_revision_is_judged_by_what_the_base_has_come_to_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base's revision isn't trained; the candidate's seeds are others, and as many as that takes."""
    mine = tmp_path / "mine"
    own_repository(mine)
    commit(mine, "collapsing", ("lr=1e-3", "lr=1e-9"))
    monkeypatch.chdir(mine)
    asked = ("--reference-module", "my_gan", "--references", "my-*", "--out", tmp_path / "out")
    report(tmp_path / "points", SIXTEEN)
    assert called(monkeypatch, "ab", "HEAD~1", "HEAD", *asked, "--points", tmp_path / "points") == 2
    assert "has no trainings of my-lsgan-grid: leave out --points, or add some" in capsys.readouterr().err
    # What five trainings of the base have come to, made by hand: the one that is judged has learned nothing.
    assert (
        called(
            monkeypatch, "suites", "test_modes.py", *asked[:4], "--seeds", "1", "--report-dir", tmp_path / "one", "-q"
        )
        == 0
    )
    measured = [r for r in read_record_set(tmp_path / "one") if r.reference == "my-lsgan-grid"]
    one = next(r for r in measured if r.metric == "high_quality_fraction")
    known = [replace(one, value=0.8 + 0.01 * seed, seed=seed) for seed in range(12)]
    report(tmp_path / "stored", known)
    capsys.readouterr()
    given = ("--points", tmp_path / "stored", "--metrics", "high_quality_fraction")
    assert called(monkeypatch, "ab", "HEAD~1", "HEAD", *asked, *given) == 1
    assert "has 12 seeds or more of each: 2 of the candidate, from 12 on" in capsys.readouterr().out
    assert not (tmp_path / "out" / "base").exists(), "the base isn't trained"
    assert {r.seed for r in read_record_set(tmp_path / "out" / "candidate")} == {12, 13, None}
