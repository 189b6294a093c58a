"""Cells in real processes: what they measure_cell, how they end, and that the next one starts from nothing."""

from __future__ import annotations

import multiprocessing
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import harness.memory.measure as cell_module
from harness.memory.machine_state import MachineState
from harness.memory.measure import Cell, Measured, measure_cell
from harness.memory.nvml import DriverView
from harness.training.out_of_memory import OUT_OF_MEMORY

MLP = "mlp-gan-mnist"


def taken(spec: str = MLP, batch_size: int = 8, device: str = "cpu", steps: int = 5, seconds: float = 60) -> Measured:
    return measure_cell(Cell(spec, batch_size, device, steps=steps, seconds=seconds))


def ending(ends: str, at: int = 1) -> Measured:
    """The toy, ended in this way at its step `at`; three steps warm up."""
    spec = f"toy-ending@ends={ends},at={at}"
    return measure_cell(Cell(spec, 8, "cpu", steps=6, modules=("tests.memory.cell_toys",)))


def runs(found: Measured, steps: int) -> bool:
    return not found.ended and len(found.step_ms) == steps


@pytest.mark.parametrize("steps", [2, 7, 40])
def test_a_cell_takes_as_many_times_as_asked_for(steps: int) -> None:
    found = taken(steps=steps)
    assert runs(found, steps)
    assert min(found.step_ms) > 0
    low, high = found.quartiles_ms
    assert min(found.step_ms) <= low <= found.median_ms <= high <= max(found.step_ms)
    assert found.resident_before is not None
    assert found.resident is not None
    assert found.resident >= found.resident_before > 0


def test_the_cpu_has_no_figures_of_a_card() -> None:
    found = taken()
    of_a_card = (found.peak_allocated, found.peak_reserved, found.context, found.available, found.driver)
    assert of_a_card == (None,) * 5
    assert found.others == ()


def test_the_time_that_a_cell_may_take_ends_it_but_not_before_three_steps() -> None:
    assert runs(taken(steps=1_000_000, seconds=0), 3)
    assert runs(taken(steps=2, seconds=0), 2)
    some = taken(steps=1_000_000, seconds=0.2)
    assert 3 <= len(some.step_ms) < 1_000_000


def test_what_a_large_cell_held_is_gone_before_the_next() -> None:
    before, large, after = taken(), taken(batch_size=5_000, steps=2), taken()
    assert large.resident is not None
    assert before.resident is not None
    assert after.resident is not None
    batch = 5_000 * 784 * 4
    assert large.resident - before.resident > batch
    assert large.resident - after.resident > batch
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("spec", "batch_size", "device", "said"),
    [
        (MLP, 0, "cpu", "a batch size must be 1 or more, not 0"),
        (MLP, -3, "cpu", "a batch size must be 1 or more, not -3"),
        ("style-transfer", 2, "cpu", "style-transfer needs 1 style pictures, one per sample, not 2"),
        (MLP, 8, "tpu", "unknown device 'tpu'"),
        (MLP, 8, "", "unknown device ''"),
        (MLP, 8, "cuda:99", "the device 'cuda:99' isn't there"),
        ("mlp-gan-mnits", 8, "cpu", "unknown reference 'mlp-gan-mnits'"),
        (f"{MLP}@width=3", 8, "cpu", "has no option 'width'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(spec: str, batch_size: int, device: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        taken(spec, batch_size, device)
    assert said in str(refused.value)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("ends", ["card", "interpreter", "allocator", "library"])
def test_running_out_of_memory_is_an_answer(ends: str) -> None:
    found = ending(ends)
    assert found.ended == OUT_OF_MEMORY
    assert found.step_ms == ()
    assert found.resident is None
    assert found.resident_before is not None
    assert runs(ending(""), 6)


def test_running_out_of_memory_between_timed_steps_leaves_no_times() -> None:
    found = ending("card", at=6)
    assert found.ended == OUT_OF_MEMORY
    assert found.step_ms == ()


def test_a_batch_that_no_machine_holds_runs_out_of_memory() -> None:
    assert taken(batch_size=10**12).ended == OUT_OF_MEMORY
    assert runs(taken(), 5)


@pytest.mark.parametrize("at", [1, 5])
@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("kill", "out of memory: the system ended the process (SIGKILL)"),
        ("terminate", "the process ended (SIGTERM)"),
        ("exit", "the process ended with code 3 and said nothing"),
    ],
)
def test_a_process_that_is_ended_says_how(ends: str, said: str, at: int) -> None:
    assert ending(ends, at).ended == said
    assert multiprocessing.active_children() == []
    assert runs(ending(""), 6)


def test_a_step_that_fails_names_reference_batch_and_error() -> None:
    with pytest.raises(RuntimeError) as failed:
        ending("broken", at=5)
    assert str(failed.value) == "toy-ending@ends=broken,at=5 at batch 8 on cpu: KeyError: 'no such layer'"
    assert runs(ending(""), 6)


def test_a_step_that_refuses_its_batch_is_a_mistake_of_who_asked() -> None:
    with pytest.raises(ValueError, match="needs 9 samples or more"):
        ending("refuses")


def test_a_users_module_is_imported_in_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_users_own_toys.py").write_text(
        "import dataclasses\n"
        "from typing import ClassVar\n"
        "from reference import register\n"
        "from tests.toys import CARD, Toy\n\n"
        "@register\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Own(Toy):\n"
        "    card: ClassVar = dataclasses.replace(CARD, name='toy-own')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert runs(measure_cell(Cell("toy-own", 8, "cpu", steps=4, modules=("a_users_own_toys",))), 4)
    assert "a_users_own_toys" not in sys.modules, "nothing of it is left here"
    with pytest.raises(ValueError, match="'no_such_module' can't be imported"):
        measure_cell(Cell("toy-own", 8, "cpu", modules=("no_such_module",)))


def test_a_cell_says_with_how_many_threads_and_in_what_state_of_the_machine() -> None:
    found = taken(steps=2)
    assert found.threads is not None
    assert found.threads >= 1
    for state in (found.before, found.after):
        assert state.figures["load_average"] >= 0


def test_a_card_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung driver would hang whoever waits for it."""
    monkeypatch.setattr(cell_module, "_measure_and_send", hang)
    monkeypatch.setattr(cell_module, "_PATIENCE", 0.2)
    found = measure_cell(Cell(MLP, 8, "cuda", steps=2, seconds=0.1))
    assert found.ended == "no answer within 0 s: the process was ended"
    assert multiprocessing.active_children() == []


def hang(*_: object) -> None:
    time.sleep(600)


IDLE = DriverView(used=100, others=("process 7, 100 MiB",))


@pytest.mark.parametrize(
    ("opened", "others"),
    [
        (DriverView(process=50, used=150), IDLE.others),
        (
            DriverView(used=150, missing="(a container)"),
            ("process 7, 100 MiB (by the host's numbers: it may be the one that started this)",),
        ),
        (DriverView(missing="no NVML"), IDLE.others),
    ],
)
def test_in_a_container_the_parent_may_be_a_stranger(opened: DriverView, others: tuple[str, ...]) -> None:
    assert cell_module._others(IDLE, opened) == others


class StandIn:
    """A card's part in a cell: what is asked of it, in order. The driver says 10 more for each library loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.process, self.reserved, self.peak = 0, 0, 0
        cuda = {
            "synchronize": self.note("synchronize"),
            "memory_reserved": lambda *_: self.reserved,
            "reset_peak_memory_stats": self.note("reset peaks"),
            "mem_get_info": lambda *_: (1000 - self.process, 1000),
            "max_memory_allocated": lambda *_: self.note("peak")() or 300,
            "max_memory_reserved": lambda *_: 400,
            "empty_cache": self.note("empty cache"),
        }
        for name, answer in cuda.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        monkeypatch.setattr(torch, "zeros", self.open)
        for name in ("driver_view", "machine_state", "SyntheticStep", "_mark", "traced_tensors", "get"):
            monkeypatch.setattr(cell_module, name, getattr(self, name.strip("_")))

    def note(self, what: str) -> Any:
        return lambda *_: self.asked.append(what)

    def open(self, *_: object, **__: object) -> None:
        self.asked.append("context")
        self.process, self.reserved = 52, 2  # of which the first segment is PyTorch's

    def driver_view(self, *_: object) -> DriverView:
        return DriverView(self.process, self.process)

    def machine_state(self, *_: object) -> MachineState:
        self.asked.append("state")
        return MachineState()

    def SyntheticStep(self, *_: object) -> Any:
        return self.step

    def step(self) -> None:
        self.asked.append("step")
        self.process, self.reserved = 572, 402  # libraries take 120 more beside the 50 of the context

    def mark(self) -> Any:
        return SimpleNamespace(elapsed_time=lambda _: 1.5)

    def traced_tensors(self, *_: object) -> int:
        self.asked.append("trace")
        return 200

    def get(self, *_: object) -> None: ...


def test_a_card_is_asked_when_its_libraries_are_loaded_and_traced_when_all_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The context alone, as it is before the first product, is 100 to 400 MiB too little to plan with."""
    card = StandIn(monkeypatch)
    found = cell_module._on_cuda(Cell(MLP, 8, "cuda", steps=2), torch.device("cuda"))
    assert (found.bare_context, found.context) == (50, 170)
    assert found.available == 1000 - 572 + 402, "free, and what the allocator has"
    assert (found.peak_allocated, found.peak_reserved, found.tensors) == (300, 400, 200)
    assert found.step_ms == (1.5, 1.5)
    order = [what for what in card.asked if what not in ("synchronize", "step")]
    assert order == ["context", "reset peaks", "state", "state", "peak", "empty cache", "trace"]
    last_step = len(card.asked) - 1 - card.asked[::-1].index("step")
    assert card.asked[last_step + 1 : last_step + 3] == ["state", "synchronize"], "read while the card still works"


def test_a_search_leaves_out_the_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = StandIn(monkeypatch)
    found = cell_module._on_cuda(Cell(MLP, 8, "cuda", steps=2, traced=False), torch.device("cuda"))
    assert found.tensors is None
    assert "trace" not in card.asked
