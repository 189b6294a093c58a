"""Records are on disk at once; an earlier report ends when the next one begins, and nobody else's files ever do."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch

from harness.data import open_dataset
from harness.records.environment import environment, fingerprint
from harness.records.metrics import FID, STEP_MS
from harness.records.record import read_records
from harness.records.report_folder import Asked, read_session
from harness.reporting.recorder import Recorder
from reference import get

CPU = torch.device("cpu")
ASKED = Asked(("mlp-gan-mnist",), ("tests.toys",), "c0ffee", clean=True)


def made(folder: Path) -> Recorder:
    return Recorder(folder, "quick", CPU, ASKED)


def write(recorder: Recorder, value: float = 1.0, **more: object) -> None:
    recorder.record("memory", "mlp-gan-mnist", STEP_MS, value, **more)  # type: ignore[arg-type]


def test_every_record_is_on_disk_before_the_next(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    for n in range(1, 4):
        write(recorder, float(n))
        found = read_records(tmp_path / "records.jsonl")
        assert [r.value for r in found] == [float(k) for k in range(1, n + 1)]
        assert found == recorder.records


def write_and_die(folder: Path) -> None:
    recorder = made(folder)
    write(recorder, 1.0)
    write(recorder, 2.0)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_what_it_recorded(tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(target=write_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [r.value for r in read_records(tmp_path / "records.jsonl")] == [1.0, 2.0]
    assert {p.name for p in tmp_path.iterdir()} == {"records.jsonl", "environment.json", "session.json"}


def test_the_machine_and_what_was_asked_for_lie_beside_the_records(tmp_path: Path) -> None:
    recorder = made(tmp_path / "new" / "report")
    assert list(recorder.report.iterdir()) == [], "nothing is there before the first record"
    write(recorder)
    (record,) = read_records(recorder.report / "records.jsonl")
    machines = json.loads((recorder.report / "environment.json").read_text())
    assert machines == {record.environment: environment(CPU)}
    assert record.environment == fingerprint(environment(CPU))
    assert record.device == machines[record.environment]["device"]
    assert record.profile == "quick"
    assert read_session(recorder.report) == ASKED
    recorder.finish({"passed": 3}, complete=True)
    assert read_session(recorder.report).finished > "2026"


def test_what_was_measured_on_is_said_in_words_or_by_the_data_set(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    grid = open_dataset(get("idl-gan-grid").card, None)
    write(recorder, data="drawn values", protocol={"by": "clock"}, batch_size=8, real_data=False)
    write(recorder, data=grid, protocol={"by": "clock"}, device="another", seed=3)
    words, data = read_records(tmp_path / "records.jsonl")
    assert (words.data, words.real_data, words.protocol) == ("drawn values", False, {"by": "clock"})
    assert (words.batch_size, words.status) == (8, "measured")
    assert (data.data, data.real_data) == (grid.title, grid.real)
    assert data.protocol == {"by": "clock", "data": grid.fingerprint}
    assert (data.device, data.seed) == ("another", 3)


def test_an_earlier_report_is_put_aside_with_the_first_record_of_the_next_and_not_before(tmp_path: Path) -> None:
    tmp_path = tmp_path / "report"
    first = made(tmp_path)
    write(first, 1.0)
    with pytest.raises(ValueError, match="report is being written by process"):
        made(tmp_path)
    first.close()
    for name in ("report.md", "memory.csv", "plots/memory.png", "runs/a/run.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("of the first")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    second = made(tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    write(second, 2.0)
    kept = tmp_path.with_name("report.1")
    assert second.kept == kept
    assert {kept / p.relative_to(tmp_path): content for p, content in before.items()} == {
        p: p.read_bytes() for p in kept.rglob("*") if p.is_file()
    }
    assert [r.value for r in read_records(tmp_path / "records.jsonl")] == [2.0]
    assert {p.name for p in tmp_path.iterdir()} == {"records.jsonl", "environment.json", "session.json"}
    write(second, 3.0)
    assert [r.value for r in read_records(tmp_path / "records.jsonl")] == [2.0, 3.0]


def test_asking_for_a_folder_ends_the_earlier_report_too(tmp_path: Path) -> None:
    tmp_path = tmp_path / "report"
    first = made(tmp_path)
    write(first, 1.0)
    first.close()
    second = made(tmp_path)
    assert second.folder("runs", "a") == tmp_path / "runs" / "a"
    assert not (tmp_path / "records.jsonl").exists()
    assert (tmp_path / "session.json").exists()
    write(second, 2.0)
    (tmp_path / "plots").mkdir()
    assert second.folder("plots").is_dir(), "only the first one asked for clears"
    assert [r.value for r in read_records(tmp_path / "records.jsonl")] == [2.0]


@pytest.mark.parametrize("name", ["thesis.tex", "notes/today.md", ".git/config"])
def test_a_folder_that_holds_anything_else_is_refused_and_keeps_it(name: str, tmp_path: Path) -> None:
    write(made(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="nothing is deleted") as refused:
        made(tmp_path)
    assert repr(name.partition("/")[0]) in str(refused.value)
    assert str(tmp_path) in str(refused.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match=r"the report folder .* can't be written"):
        made(tmp_path)


def test_a_record_without_a_value_needs_a_reason_and_writes_nothing(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    with pytest.raises(ValueError, match="needs a reason"):
        recorder.record("memory", "mlp-gan-mnist", STEP_MS, None, status="skipped")
    with pytest.raises(ValueError, match="needs a value"):
        recorder.record("memory", "mlp-gan-mnist", STEP_MS, None)
    assert list(tmp_path.iterdir()) == []
    assert recorder.records == []


def test_a_headline_metric_is_tested_in_its_plain_series_alone(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    recorder.record("quality", "mlp-gan-mnist", FID, 9.0)
    recorder.record("quality", "mlp-gan-mnist", FID, 9.0, protocol={"statistics": "running"})
    recorder.record("quality", "mlp-gan-mnist", FID, 9.0, protocol={"training": "none"})
    recorder.record("metrics", "calibration: copies", FID, 0.0, judged=False)
    recorder.record("memory", "mlp-gan-mnist", STEP_MS, 9.0)
    assert [r.headline for r in recorder.records] == [True, False, False, False, False]


def test_a_note_names_the_check_and_its_reason(tmp_path: Path) -> None:
    recorder = made(tmp_path)
    recorder.note("quality", "mlp-gan-mnist", "test_quality", "skipped", "no extractor", 3)
    (found,) = read_records(tmp_path / "records.jsonl")
    assert (found.metric, found.status, found.reason, found.seed) == ("test_quality", "skipped", "no extractor", 3)
