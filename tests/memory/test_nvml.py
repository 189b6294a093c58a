"""What the driver is asked and what comes of its answers: a stand-in for NVML, for there may be no card here."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from harness.memory.nvml import MIB, DriverView, driver_view

CARD = torch.device("cuda", 0)
STRANGER = 2**22 + 1  # more than Linux ever counts to
USED = 3000 * MIB


@dataclass
class Nvml:
    """As much of pynvml as is asked; `fails` is the function that raises. Only handles of `known` are found."""

    processes: list[SimpleNamespace] = field(default_factory=list)
    fails: str = ""
    known: str = ""
    asked: list[str] = field(default_factory=list)

    def _called(self, name: str) -> None:
        self.asked.append(name)
        if name == self.fails:
            raise RuntimeError("Driver Not Loaded")

    def nvmlInit(self) -> None:
        self._called("init")

    def nvmlShutdown(self) -> None:
        self._called("shutdown")

    def nvmlDeviceGetHandleByUUID(self, identifier: str) -> str:
        self._called("handle")
        if not identifier.startswith(self.known):
            raise RuntimeError("Not SearchResult")
        return identifier

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        self._called(handle)
        return SimpleNamespace(used=USED)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        self._called(handle)
        return self.processes


def process(pid: int, mib: float | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else int(mib * MIB))


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    name_it(monkeypatch, "12-ab")


def name_it(monkeypatch: pytest.MonkeyPatch, uuid: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=uuid))


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    stand_in = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    return stand_in


def test_the_process_is_found_by_its_number(nvml: Nvml) -> None:
    nvml.processes = [process(os.getpid(), 939)]
    assert driver_view(CARD) == DriverView(939 * MIB, USED)


@pytest.mark.usefixtures("nvml")
def test_a_process_under_another_number_leaves_the_cards_use_and_a_reason() -> None:
    found = driver_view(CARD)
    assert (found.process, found.used, found.others) == (None, USED, ())
    assert "a container" in found.missing


def test_a_driver_that_does_not_count_processes_says_so(nvml: Nvml) -> None:
    nvml.processes = [process(os.getpid(), None)]
    assert driver_view(CARD) == DriverView(None, USED, (), "the driver doesn't say what a process holds")


@pytest.mark.parametrize("own", [939, None])
def test_others_on_the_card_are_named(own: int | None, nvml: Nvml) -> None:
    nvml.processes = [
        process(STRANGER, 300.4),
        process(os.getpid(), own),
        process(os.getppid(), 512),
        process(STRANGER + 1, None),
    ]
    assert driver_view(CARD).others == (
        f"process {STRANGER}, 300 MiB",
        "the process that started this one, 512 MiB",
        f"process {STRANGER + 1}, memory unknown",
    )


@pytest.mark.parametrize(
    ("uuid", "identifier"), [("12-ab", "GPU-12-ab"), ("GPU-12-ab", "GPU-12-ab"), ("MIG-34-cd", "MIG-34-cd")]
)
def test_the_card_is_asked_for_by_its_identifier(
    uuid: str, identifier: str, nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_it(monkeypatch, uuid)
    driver_view(CARD)
    assert nvml.asked == ["init", "handle", identifier, identifier, "shutdown"]


def test_without_nvml_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    found = driver_view(CARD)
    assert found == DriverView(missing=found.missing)
    assert found.missing.startswith("NVML can't be asked: ")
    assert "pynvml" in found.missing


@pytest.mark.parametrize(
    ("fails", "said", "ended"),
    [
        ("init", "NVML can't be asked: Driver Not Loaded", False),
        ("handle", "NVML doesn't answer: Driver Not Loaded", True),
        ("GPU-12-ab", "NVML doesn't answer: Driver Not Loaded", True),
    ],
)
def test_a_driver_that_fails_is_said_and_let_go(fails: str, said: str, ended: bool, nvml: Nvml) -> None:
    nvml.fails = fails
    assert driver_view(CARD) == DriverView(missing=said)
    assert (nvml.asked[-1] == "shutdown") == ended


@pytest.mark.parametrize("said", [0, 100])
def test_a_figure_that_cannot_be_this_process_is_not_taken_for_it(
    said: float, nvml: Nvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container drivers may translate the number and say 0, or mean a stranger of the same number outside."""
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 200 * MIB)
    nvml.processes = [process(os.getpid(), said)]
    found = driver_view(CARD)
    assert (found.process, found.used) == (None, USED), "the growth of the card's use is taken instead"
    assert found.missing
    nvml.processes = [process(os.getpid(), 200)]
    assert driver_view(CARD).process == 200 * MIB


@pytest.mark.parametrize(("known", "asked"), [("GPU-", "GPU-12-ab"), ("MIG-", "MIG-12-ab")])
def test_a_slice_of_a_card_is_found_when_no_card_has_the_identifier(known: str, asked: str, nvml: Nvml) -> None:
    nvml.known = known
    found = driver_view(CARD)
    assert found.used == USED
    assert asked in nvml.asked


def test_an_identifier_that_nothing_has_is_said(nvml: Nvml) -> None:
    nvml.known = "nothing"
    assert driver_view(CARD) == DriverView(missing="NVML doesn't answer: Not SearchResult")
