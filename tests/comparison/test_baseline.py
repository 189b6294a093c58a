from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.baseline import code_and_bits, read_record_set, save_baseline
from harness.records.metrics import STATE
from harness.records.record import Record, append_record
from harness.records.report_folder import Asked, write_session
from tests.records.test_record import record

FAILED = {"status": "failed", "value": None, "reason": "loss is nan", "metric": "test_quality"}


def report(folder: Path, records: Iterable[Record]) -> Path:
    for entry in records:
        append_record(folder / "records.jsonl", entry)
    (folder / "environment.json").write_text('{"e": {}}\n')
    (folder / "report.md").write_text("# Report\n")
    return folder


def test_a_baseline_is_the_records_and_their_machine(tmp_path: Path) -> None:
    source = report(tmp_path / "latest", [record(seed=0), record(seed=1)])
    kept = save_baseline(source, "main", overwrite=False, into=tmp_path / "baselines")
    assert kept == tmp_path / "baselines" / "main"
    assert sorted(p.name for p in kept.iterdir()) == ["environment.json", "records.jsonl"]
    assert read_record_set(kept) == read_record_set(source)
    assert [p.name for p in kept.parent.iterdir()] == ["main"]


def test_a_baseline_is_replaced_only_when_told_so(tmp_path: Path) -> None:
    into = tmp_path / "baselines"
    first, second = (report(tmp_path / name, [record(value=v)]) for name, v in (("first", 1.0), ("second", 2.0)))
    save_baseline(first, "main", overwrite=False, into=into)
    with pytest.raises(ValueError, match="is there already; --overwrite replaces it"):
        save_baseline(second, "main", overwrite=False, into=into)
    assert read_record_set(into / "main") == read_record_set(first)
    save_baseline(second, "main", overwrite=True, into=into)
    assert read_record_set(into / "main") == read_record_set(second)
    assert [p.name for p in into.iterdir()] == ["main"], "nothing is left aside"
    save_baseline(first, "other", overwrite=True, into=into)
    assert sorted(p.name for p in into.iterdir()) == ["main", "other"]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../outside", "/tmp/outside", "main/"])
def test_a_name_that_is_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    source = report(tmp_path / "latest", [record()])
    with pytest.raises(ValueError, match="can't be the name of a baseline"):
        save_baseline(source, name, overwrite=True, into=tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record(), record(**FAILED), record(**FAILED)], "holds 2 failed checks, the first test_quality of toy-grid"),
        ([record(status="skipped", value=None, reason="no GPU")], "holds no measured value"),
        ([record(status="estimated")], "holds no measured value"),
    ],
)
def test_what_is_no_baseline_is_refused_and_the_old_one_stays(
    records: list[Record], message: str, tmp_path: Path
) -> None:
    into = tmp_path / "baselines"
    good = report(tmp_path / "good", [record()])
    save_baseline(good, "main", overwrite=False, into=into)
    with pytest.raises(ValueError, match=message):
        save_baseline(report(tmp_path / "bad", records), "main", overwrite=True, into=into)
    assert read_record_set(into / "main") == read_record_set(good)


def test_a_skipped_check_is_no_obstacle(tmp_path: Path) -> None:
    source = report(tmp_path / "latest", [record(), record(status="skipped", value=None, reason="no GPU")])
    assert len(read_record_set(save_baseline(source, "main", overwrite=False, into=tmp_path / "baselines"))) == 2


def test_records_are_found_in_a_folder_or_as_a_file(tmp_path: Path) -> None:
    written = [record(seed=0), record(seed=1)]
    folder = report(tmp_path / "latest", written)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((folder / "records.jsonl").read_bytes())
    assert read_record_set(folder) == read_record_set(folder / "records.jsonl") == read_record_set(copy) == written


def of_another_version(text: str) -> str:
    return text + json.dumps(json.loads(text.splitlines()[0]) | {"version": 3}) + "\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda text: text[:-20], r"records\.jsonl, line 2 is cut off: whoever wrote it was interrupted"),
        (lambda text: text[:40] + "\n" + text, r"records\.jsonl, line 1: "),
        (of_another_version, r"records\.jsonl, line 3: written as version 3 of records, this is version 2"),
        (lambda text: text + "[1]\n", r"records\.jsonl, line 3: not a record"),
        (lambda text: "", r"records\.jsonl"),
    ],
)
def test_damaged_records_get_one_line_that_names_the_place(content, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = report(tmp_path / "latest", [record(seed=0), record(seed=1)])
    file = folder / "records.jsonl"
    file.write_text(content(file.read_text()))
    for path in (folder, file):
        with pytest.raises(ValueError, match=message) as raised:
            read_record_set(path)
        assert "\n" not in str(raised.value)


def test_missing_records_get_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.jsonl"):
        with pytest.raises(ValueError, match=r"holds no records\.jsonl: name a report folder, a baseline") as raised:
            read_record_set(path)
        assert "\n" not in str(raised.value)


def test_a_baseline_is_not_accepted_onto_itself(tmp_path: Path) -> None:
    kept = save_baseline(report(tmp_path / "latest", [record()]), "main", overwrite=False, into=tmp_path / "baselines")
    with pytest.raises(ValueError, match="is the baseline main already"):
        save_baseline(kept, "main", overwrite=True, into=tmp_path / "baselines")
    assert read_record_set(kept)


def bits(reference: str, state: str, **changes: Any) -> Record:
    """What the determinism suite writes of trainings that all ended with `state`."""
    usual = {"metric": "same_bits", "value": 1.0, "protocol": {"variation": "again", "steps": "3"}}
    return record(reference=reference, reason=f"{STATE}{state}", **(usual | changes))


def test_a_baseline_tells_its_code_and_its_bits_from_others(tmp_path: Path) -> None:
    source = report(
        tmp_path / "latest",
        [
            bits("one", "aa"),
            bits("two", "bb"),
            bits("three", "cc", environment="old"),
            bits("four", "dd", environment="old"),
        ],
    )
    write_session(source, Asked(("one", "two"), ("gan", "other"), "a" * 40, True, code={"gan": "11", "other": "33"}))
    kept = save_baseline(source, "main", overwrite=False, into=tmp_path / "baselines")
    here = Asked(("one",), ("gan", "other", "new"), "b" * 40, False, code={"gan": "22", "other": "33", "new": "44"})
    now = [bits("one", "aa"), bits("two", "zz"), bits("three", "cc"), bits("four", "zz")]
    code, state = code_and_bits(kept, read_record_set(kept), here, now)
    assert code == (
        "Code: this repository at aaaaaaaaaaaa then, at bbbbbbbbbbbb with changes beside it now; gan has changed: "
        "11 then, 22 now; other is the same (33); new is 44 now, and wasn't there then."
    )
    assert state == (
        "Bits: the same after the first steps: one, three; others: two; others, but this machine, its versions or its "
        "settings aren't the baseline's: four."
    )
    for changed in ({"seed": 9}, {"batch_size": 9}, {"data": "other"}):
        _, state = code_and_bits(kept, read_record_set(kept), here, [bits("one", "aa", **changed)])
        assert state.startswith("Bits: not compared; that takes"), changed


def test_a_baseline_of_before_says_that_it_knows_no_code(tmp_path: Path) -> None:
    file = report(tmp_path / "latest", [record()]) / "records.jsonl"
    for place in (file, file.parent):
        assert code_and_bits(place, read_record_set(place), Asked(()), [])[0] == (
            "Code: the baseline doesn't say of which it is."
        )
