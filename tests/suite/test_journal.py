from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.suite.journal import Collected, Tail, Told, read_collected, read_told, write_collected

LINES = [json.dumps({"place": place, "reports": [], "records": [{"n": place}]}) for place in range(3)]


def test_what_was_told_is_read_by_place_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text(f"{LINES[2]}\n")
    (tmp_path / "1.jsonl").write_text(f"{LINES[0]}\n{LINES[1]}\n")
    assert read_told(tmp_path) == {place: Told(place, [], [{"n": place}]) for place in range(3)}


@pytest.mark.parametrize("cut", [1, 5, len(LINES[1])])
def test_a_line_that_a_kill_cut_off_was_not_told(cut: int, tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text(f"{LINES[0]}\n{LINES[1][:cut]}")
    assert sorted(read_told(tmp_path)) == [0]


def test_a_journal_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "0.jsonl"
    tail = Tail(path)
    assert list(tail.news()) == []
    path.write_text(f"{LINES[0]}\n{LINES[1][:4]}")
    assert [told.place for told in tail.news()] == [0]
    path.write_text(f"{LINES[0]}\n{LINES[1]}\n{LINES[2]}\n")
    assert [told.place for told in tail.news()] == [1, 2]
    assert list(tail.news()) == []


@pytest.mark.parametrize("line", ["[1]", "{}", '{"place": 1, "what": 2}', "no JSON"])
def test_a_whole_line_that_says_nothing_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"0\.jsonl is damaged: "):
        read_told(tmp_path)


def test_what_was_collected_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_collected(tmp_path) is None
    what = Collected("ab", 9, 2, {"harness": "cd"}, ("suites", "-q"), "1/2", (0, 3))
    write_collected(tmp_path, what)
    assert read_collected(tmp_path) == what
    (tmp_path / "collected.json").write_text("{}")
    with pytest.raises(ValueError, match=r"collected\.json is damaged"):
        read_collected(tmp_path)
