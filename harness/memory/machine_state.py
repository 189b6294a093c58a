"""What state the machine is in when something is timed: clocks, power, temperature of a card; load of a processor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.memory.nvml import NvmlError, nvml_handle
from harness.records.processors import processor_quota, throttled_microseconds

_GOVERNOR = Path("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# NVML's bits, by nvml.h. An idle card and clocks that somebody has set are no throttling.
_THROTTLING = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "temperature",
    0x40: "temperature",
    0x80: "power brake",
}
_VIOLATIONS = {"power cap": "NVML_PERF_POLICY_POWER", "temperature": "NVML_PERF_POLICY_THERMAL"}


@dataclass(frozen=True)
class MachineState:
    """A moment.

    Attributes:
        figures: by name, the unit at its end: `sm_clock_mhz`, `load_average`, …
        words: what isn't a number: the driver's version, the governor.
        throttled: why the card runs slower than it could at this moment.
        held_back: time since some start, by reason, that it did so; only differences say something. Seconds.
        tells: whether it would be known that the machine is held back.
        missing: why something isn't there.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    throttled: tuple[str, ...] = ()
    held_back: Mapping[str, float] = field(default_factory=dict)
    tells: bool = False
    missing: str = ""


def machine_state(device: torch.device) -> MachineState:
    """That of a card, or of the processor; whatever goes wrong is said, and nothing raises."""
    if device.type == "cpu":
        return processor_state()
    try:
        with nvml_handle(device) as (nvml, handle):
            return _card_state(nvml, handle)
    except NvmlError as error:
        return MachineState(missing=str(error))


def throttling(before: MachineState, after: MachineState) -> str:
    """What held the machine back between two moments, in words; "" for nothing that is known."""
    reasons = dict.fromkeys((*before.throttled, *after.throttled), "")
    for reason, seconds in after.held_back.items():
        longer = seconds - before.held_back.get(reason, seconds)
        if longer > 0:
            reasons[reason] = f" for {longer:.3g} s"
    return ", ".join(f"{reason}{how_long}" for reason, how_long in reasons.items())


def processor_state(system: Path = Path("/")) -> MachineState:
    """Load, governor, and what control groups grant."""
    figures = {"load_average": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {}
    quota, held = processor_quota(system), throttled_microseconds(system)
    if quota is not None:
        figures["processor_quota"] = quota
    words = {}
    with contextlib.suppress(OSError):
        words["governor"] = (system / _GOVERNOR).read_text().strip()
    held_back = {} if held is None else {"the control group's quota": held / 1e6}
    return MachineState(figures, words, (), held_back, tells=held is not None)


def _card_state(nvml: Any, handle: Any) -> MachineState:
    """Each figure by itself: a slice of a card (MIG), or an old driver, answers some of these questions only."""
    questions: dict[str, Callable[[], Any]] = {
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "sm_clock_max_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
    }
    figures, missing = {}, []
    for name, question in questions.items():
        try:
            figures[name] = float(question())
        except Exception as error:  # NVML raises its own types
            missing.append(f"{name}: {error}")
    held_back: dict[str, float] = {}
    throttled: tuple[str, ...] = ()
    for reason, policy in _VIOLATIONS.items():
        try:
            status = nvml.nvmlDeviceGetViolationStatus(handle, getattr(nvml, policy))
            held_back[reason] = status.violationTime / 1e9
        except Exception as error:
            missing.append(f"time throttled ({reason}): {error}")
    tells = bool(held_back)
    try:
        bits = _throttle_bits(nvml, handle)
        tells = True
        throttled = tuple(dict.fromkeys(words for bit, words in _THROTTLING.items() if bits & bit))
    except Exception as error:
        missing.append(f"throttle reasons: {error}")
    words = {"driver": str(nvml.nvmlSystemGetDriverVersion())}
    return MachineState(figures, words, throttled, held_back, tells, "; ".join(missing))


def _throttle_bits(nvml: Any, handle: Any) -> int:
    """By the newer name, or by the older one where the driver, or pynvml, doesn't know it."""
    try:
        return int(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except Exception:
        return int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
