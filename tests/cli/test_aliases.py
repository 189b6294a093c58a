"""What was spelt otherwise before still works, and says what it is called now."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.aliases import translate


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("train x --cudnn-benchmark", "train x --numerics cudnn-benchmark"),
        ("batch-size x --deterministic --budget 8GiB", "batch-size x --numerics deterministic --budget 8GiB"),
        ("batch-size x --context=500MiB", "batch-size x --cuda-context=500MiB"),
        ("sample r --vectors v.txt --way spherical", "sample r --latents v.txt --interpolation spherical"),
        ("sample r --as-meant --digit 3", "sample r --corrected --label 3"),
        ("data faces --n 3", "make-data faces -n 3"),
        ("baseline accept f", "baseline save f"),
        ("tables memory --references x", "memory --references x"),
        ("compare HEAD~1 HEAD", "ab HEAD~1 HEAD"),
        ("compare origin/main HEAD --seeds 3", "ab origin/main HEAD --seeds 3"),
        ("compare --metrics fid main HEAD --speed", "ab --metrics fid main HEAD --speed"),
        ("--traceback data faces", "--traceback make-data faces"),
    ],
)
def test_old_words_become_those_of_today_and_it_is_said(old: str, today: str) -> None:
    words, notes = translate(old.split())
    assert " ".join(words) == today
    assert notes
    assert all("since version 0.2" in note for note in notes)
    assert translate(words) == (words, []), "today's words are left alone"


def test_records_stay_with_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    for words in (
        ["compare", "base", "base"],
        ["compare", "base", "nowhere"],
        ["compare", "--margin", "0.2", "base", "x"],
        ["compare", "--help"],
    ):
        assert translate(words) == (words, [])
    assert translate([]) == ([], [])
    assert translate(["train", "x", "--digit", "3"]) == (["train", "x", "--digit", "3"], []), "of another command"
