from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import pytest

from harness.cli.__main__ import main
from harness.records.record import append_record
from harness.records.report_folder import Asked, write_session
from tests.records.test_record import record


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["gan-harness", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    assert isinstance(exited.value.code, int)
    return exited.value.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    at = tmp_path / "report"
    append_record(at / "records.jsonl", record(metric="fid", value=3.0, reference="idl-gan-grid"))
    write_session(at, Asked(("idl-gan-grid",)))
    return at


@pytest.mark.parametrize("opens", [True, False])
def test_a_page_is_made_and_opened(
    opens: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def browser(address: str) -> bool:
        opened.append(address)
        return opens

    monkeypatch.setattr(webbrowser, "open", browser)
    assert run("report", str(folder), "--open", monkeypatch=monkeypatch) == (0 if opens else 2)
    page = folder / "report.html"
    assert opened == [page.resolve().as_uri()]
    out, err = capsys.readouterr()
    assert out.split() == [str(page)]
    assert opens or "no browser was found here" in err


def test_two_runs_side_by_side(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("report", str(folder), str(folder), "--out", str(tmp_path / "out"))
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert (tmp_path / "out" / "side_by_side.html").is_file()


def test_several_reports_make_one_table(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("tables", str(folder), str(folder / "."), monkeypatch=monkeypatch) == 2
    assert "--into FOLDER" in capsys.readouterr().err
    assert run("tables", str(folder), "--into", str(tmp_path / "one"), monkeypatch=monkeypatch) == 2
    other = tmp_path / "other"
    append_record(other / "records.jsonl", record(metric="fid", value=4.0, reference="idl-gan-grid"))
    words = ("tables", str(folder), str(other), "--into", str(tmp_path / "one"))
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert (tmp_path / "one" / "tidy.csv").read_text().count("idl-gan-grid") == 2
    assert (tmp_path / "one" / "tidy.tex").is_file()


def test_no_report_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", str(tmp_path), monkeypatch=monkeypatch) == 2
    assert "session.json isn't there" in capsys.readouterr().err
