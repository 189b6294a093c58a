"""`gan-harness compare` and `baseline save` on records: exit codes, tables, and one line for every mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.cli.__main__ import main
from harness.records.record import append_record
from tests.cli.test_commands import run
from tests.comparison.test_verdicts import EIGHT, TEN, THIRTEEN, failure, side, with_other_seeds


def written(folder: Path, *values: float, **changes: object) -> Path:
    """Records of these values; those of a candidate have other seeds than the base's."""
    records = side(values, **changes)
    for entry in records if folder.name == "base" else with_other_seeds(records):
        append_record(folder / "records.jsonl", entry)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return written(tmp_path / "base", *TEN)


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of the command, run in this process: starting one takes seconds."""
    monkeypatch.setattr(sys, "argv", ["gan-harness", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_an_earlier_comparison_is_kept(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("compare", base, written(tmp_path / "candidate", *THIRTEEN), "--out", out, code=1)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    done = run("compare", base, base, "--out", out)
    assert f"an earlier table is kept: {out / 'comparison.1.csv'}" in done.stdout
    for name, content in before.items():
        assert (out / name.replace(".", ".1.")).read_bytes() == content
        assert (out / name).read_bytes() != content


def test_worse_is_shown_and_fails(base: Path, tmp_path: Path) -> None:
    done = run("compare", base, written(tmp_path / "candidate", *THIRTEEN), code=1)
    assert "1 worse" in done.stdout.splitlines()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("values", "changes", "code", "told"),
    [
        (TEN, {}, 0, "1 kept"),
        (EIGHT, {}, 0, "1 better"),
        (THIRTEEN, {}, 1, "1 worse"),
        (THIRTEEN[:2], {}, 10, "1 inconclusive; 1 metrics together need 4 seeds a side before any can be called worse"),
        (TEN, {"n": 512}, 10, "1 not comparable"),
    ],
)
def test_the_exit_code_is_that_of_the_verdict(
    values: tuple[float, ...],
    changes: dict[str, object],
    code: int,
    told: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    candidate = written(tmp_path / "candidate", *values, **changes)
    assert called(monkeypatch, "compare", base, candidate) == code
    shown = capsys.readouterr()
    assert told in " ".join(shown.out.split())
    assert shown.err == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "candidate"], "comparing records writes nothing"


def test_a_failed_check_in_the_candidate_fails(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = written(tmp_path / "candidate", *TEN)
    append_record(candidate / "records.jsonl", failure())
    assert called(monkeypatch, "compare", base, candidate / "records.jsonl") == 1
    assert "fails in the candidate: seed 3: loss is nan" in " ".join(capsys.readouterr().out.split())


def test_margin_alpha_and_metrics_count(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = written(tmp_path / "candidate", *THIRTEEN)
    written(base, *TEN, metric="kid", headline=False)
    written(candidate, *TEN, metric="kid", headline=False)
    assert called(monkeypatch, "compare", base, candidate) == 1
    assert called(monkeypatch, "compare", base, candidate, "--margin", "0.5") == 0
    assert called(monkeypatch, "compare", base, candidate, "--alpha", "0.001") == 10
    assert called(monkeypatch, "compare", base, candidate, "--metrics", "kid") == 0
    assert called(monkeypatch, "compare", base, candidate, "--metrics", "k*, fid") == 1


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--margin", "0"), "the margin must be a positive share of the base's mean, such as 0.1, not 0.0", 2),
        (("--margin", "nan"), "the margin must be a positive share", 2),
        (("--margin", "much"), "Invalid value for '--margin'", 2),
        (("--alpha", "1"), "alpha must lie between 0 and 1, not 1.0", 2),
        (("--alpha", "-0.05"), "alpha must lie between 0 and 1, not -0.05", 2),
        (("--metrics", "nothing*"), "there is nothing to compare", 10),
    ],
)
def test_mistakes_get_one_line(
    arguments: tuple[str, ...],
    message: str,
    code: int,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert called(monkeypatch, "compare", base, base, *arguments) == code
    shown = capsys.readouterr()
    assert shown.err.startswith(f"gan-harness: {message}")
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_damaged_records_get_one_line(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "candidate", *TEN) / "records.jsonl"
    file.write_text(file.read_text()[:-30])
    assert called(monkeypatch, "compare", base, file.parent) == 2
    said = capsys.readouterr().err
    assert said == f"gan-harness: {file}, line 5 is cut off: whoever wrote it was interrupted\n"


def test_a_report_becomes_a_baseline_that_it_is_held_against(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, "baseline", "save", base) == 0
    assert capsys.readouterr().out == "reports/baselines/main\n"
    assert called(monkeypatch, "compare", "reports/baselines/main", base) == 0
    capsys.readouterr()
    assert called(monkeypatch, "baseline", "save", base) == 2
    assert "main is there already; --overwrite replaces it" in capsys.readouterr().err
    assert called(monkeypatch, "baseline", "save", base, "--overwrite") == 0
    assert called(monkeypatch, "baseline", "save", base, "--name", "../main") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("HEAD", "HEAD", "--profile", "huge"), "unknown profile 'huge'"),
        (("HEAD", "HEAD", "--seeds", "0"), "--seeds must be 1 or more"),
        (("HEAD", "HEAD", "--batch-size", "4"), "--batch-size has no effect without --speed"),
        (("HEAD", "HEAD", "--speed", "--rounds", "0"), "--rounds must be 1 or more"),
        (("BASE", "HEAD"), "BASE is a path and no git revision: `gan-harness compare` compares records"),
    ],
)
def test_mistakes_with_revisions_get_one_line(
    arguments: tuple[str, ...],
    message: str,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(base) if word == "BASE" else word for word in arguments]
    assert called(monkeypatch, "ab", *given) == 2
    assert capsys.readouterr().err.startswith(f"gan-harness: {message.replace('BASE', str(base))}")


def test_what_holds_no_records_is_sent_to_ab(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(monkeypatch, "compare", base, tmp_path / "nowhere") == 2
    assert "nowhere holds no records to compare; if it is a git revision: gan-harness ab" in capsys.readouterr().err
