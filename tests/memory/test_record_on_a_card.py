"""Cells on a card, which are played."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.memory import record
from harness.memory.machine_state import MachineState
from harness.memory.measure import Cell, Measured
from harness.memory.record import (
    record_cell,
)
from harness.records.record import Record
from harness.reporting.recorder import Recorder
from harness.reporting.speed_tables import machine_table, speed_table
from reference import get
from tests.memory.conftest import MLP

GIB = 2**30

SEEN = Measured(
    step_ms=(10.0, 20.0, 30.0),
    peak_allocated=3 * GIB,
    peak_reserved=4 * GIB,
    tensors=2 * GIB,
    context=GIB // 2,
    bare_context=GIB // 4,
    available=70 * GIB,
    driver=5 * GIB,
    driver_how="the driver's count for the process",
    threads=2,
    before=MachineState({"sm_clock_mhz": 1980.0}, {"driver": "580"}, (), {"power cap": 1.0}, tells=True),
    after=MachineState({"sm_clock_mhz": 1200.0}, {"driver": "580"}, ("power cap",), {"power cap": 3.5}, tells=True),
)


def recorded(found: Measured, recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.setattr(record, "measure_cell", lambda _: found)
    record_cell(write, Cell(MLP, 100, "cuda", deterministic=False), get(MLP).card, None)
    return recorder.records


BENCHMARK = "as documented (cudnn.benchmark)"


@pytest.mark.usefixtures("card")
def test_a_cards_cell_tells_tensors_from_workspaces_and_how_it_was_computed(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = recorded(SEEN, recorder, write, monkeypatch)
    values = {r.metric: r.value for r in records}
    assert values["tensors_mib"] == 2048
    assert values["workspaces_mib"] == 1024, "what is allocated beyond tensors"
    assert (values["context_mib"], values["bare_context_mib"]) == (512, 256)
    for r in records:
        assert r.protocol["numerics"] == BENCHMARK
        assert r.protocol["float32 convolutions"] == "tf32"
        assert r.threads == 2
        assert "threads" not in r.protocol, "a GPU's time doesn't hang on the CPU's threads"


@pytest.mark.usefixtures("card")
def test_a_cell_that_was_throttled_says_so_in_its_row(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = recorded(SEEN, recorder, write, monkeypatch)
    clocks = {r.protocol["when"]: r.value for r in records if r.metric == "sm_clock_mhz"}
    assert clocks == {"before": 1980.0, "after": 1200.0}
    (throttled,) = (r for r in records if r.metric == "throttled")
    assert (throttled.value, throttled.reason) == (1.0, "power cap for 2.5 s")
    (row,) = speed_table(records, []).to_dict("records")
    assert row["held back by"] == "power cap for 2.5 s"
    (row,) = machine_table(records, []).to_dict("records")
    assert (row["sm clock mhz, after"], row["driver"], row["throttled"]) == ("1200", "580", "power cap for 2.5 s")


@pytest.mark.usefixtures("card")
def test_where_nobody_counts_throttling_it_is_not_denied(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = MachineState(missing="NVML can't be asked: no such library")
    records = recorded(dataclasses.replace(SEEN, before=silent, after=silent), recorder, write, monkeypatch)
    (throttled,) = (r for r in records if r.metric == "throttled")
    assert (throttled.status, throttled.reason) == ("skipped", "NVML can't be asked: no such library")


@pytest.mark.usefixtures("card")
def test_an_allocator_that_somebody_changed_is_named_beside_what_it_reserves(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    records = recorded(SEEN, recorder, write, monkeypatch)
    (reserved,) = (r for r in records if r.metric == "peak_reserved_mib")
    assert reserved.reason == "PYTORCH_ALLOC_CONF=expandable_segments:True: other rules than the estimate's"


@pytest.mark.usefixtures("card")
def test_running_out_beside_another_process_names_it(
    recorder: Recorder, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Measured(ended="out of memory", others=("process 7, 70000 MiB",))
    records = recorded(found, recorder, write, monkeypatch)
    assert {r.reason for r in records} == {"out of memory; on the card also: process 7, 70000 MiB"}
    assert {r.status for r in records} == {"skipped"}
