"""The machine while something is timed: a stand-in for NVML, and a folder that stands for the system."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.memory.machine_state import MachineState, machine_state, processor_state, throttling
from tests.memory.test_nvml import CARD, name_it
from tests.records.test_processors import system


class Nvml:
    """As much of pynvml as is asked of a card's state; what is in `silent` raises."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL = 0, 1

    def __init__(self, reasons: int = 0, silent: tuple[str, ...] = (), violation_ns: int = 0) -> None:
        answers: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlDeviceGetHandleByUUID": "card",
            "nvmlDeviceGetClockInfo": 1500,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetPowerUsage": 350_500,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetViolationStatus": SimpleNamespace(violationTime=violation_ns),
            "nvmlDeviceGetCurrentClocksEventReasons": reasons,
            "nvmlDeviceGetCurrentClocksThrottleReasons": reasons,
            "nvmlSystemGetDriverVersion": "580.95",
        }
        for name, answer in answers.items():
            setattr(self, name, _refusing(name) if name in silent else (lambda *_, answer=answer: answer))


def _refusing(name: str) -> Any:
    def refuse(*_: object) -> None:
        raise RuntimeError(f"{name}: Not Supported")

    return refuse


def asked(monkeypatch: pytest.MonkeyPatch, nvml: object) -> MachineState:
    name_it(monkeypatch, "12-ab")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return machine_state(CARD)


def test_a_card_says_clocks_power_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, Nvml())
    assert found.figures == {
        "sm_clock_mhz": 1500.0,
        "sm_clock_max_mhz": 1980.0,
        "memory_clock_mhz": 1500.0,
        "power_w": 350.5,
        "power_limit_w": 700.0,
        "temperature_c": 61.0,
    }
    assert found.words == {"driver": "580.95"}
    assert (found.throttled, found.missing) == ((), "")


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (0x0, ()),
        (0x1, ()),
        (0x2, ()),
        (0x4, ("power cap",)),
        (0x8, ("hardware slowdown",)),
        (0x20, ("temperature",)),
        (0x40 | 0x8, ("hardware slowdown", "temperature")),
        (0x80 | 0x1, ("power brake",)),
        (0x20 | 0x40, ("temperature",)),
    ],
)
@pytest.mark.parametrize("old_driver", [True, False])
def test_idle_and_chosen_clocks_are_no_throttling(
    reasons: int, words: tuple[str, ...], old_driver: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = ("nvmlDeviceGetCurrentClocksEventReasons",) if old_driver else ()
    assert asked(monkeypatch, Nvml(reasons, silent)).throttled == words


def test_what_a_card_does_not_answer_is_said_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, Nvml(silent=("nvmlDeviceGetPowerUsage", "nvmlDeviceGetViolationStatus")))
    assert "power_w" not in found.figures
    assert found.figures["temperature_c"] == 61
    assert "power_w: nvmlDeviceGetPowerUsage: Not Supported" in found.missing
    assert found.held_back == {}


@pytest.mark.parametrize("nvml", [None, Nvml(silent=("nvmlInit",)), Nvml(silent=("nvmlDeviceGetHandleByUUID",))])
def test_without_nvml_there_is_a_reason_and_no_figure(nvml: object, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(monkeypatch, nvml)
    assert found.figures == {}
    assert found.missing.startswith("NVML ")


def test_throttling_between_two_moments_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = asked(monkeypatch, Nvml(violation_ns=10**9))
    assert throttling(before, before) == "", "what was before it isn't this cell's"
    after = asked(monkeypatch, Nvml(0x4, violation_ns=3 * 10**9))
    assert throttling(before, after) == "power cap for 2 s, temperature for 2 s"
    assert throttling(before, asked(monkeypatch, Nvml(0x80, violation_ns=10**9))) == "power brake"


def test_the_processors_quota_and_governor_are_read(tmp_path: Any) -> None:
    root = system(tmp_path, "0::/\n", {"cpu.max": "150000 100000\n", "cpu.stat": "throttled_usec 500000\n"})
    governor = root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("powersave\n")
    found = processor_state(root)
    assert found.figures["processor_quota"] == 1.5
    assert found.figures["load_average"] >= 0
    assert found.words == {"governor": "powersave"}
    later = MachineState(held_back={"the control group's quota": 0.75})
    assert throttling(found, later) == "the control group's quota for 0.25 s"


def test_this_machine_answers() -> None:
    assert machine_state(torch.device("cpu")).figures["load_average"] >= 0
