"""What is here, and what it means when something isn't."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from harness.data.fetch import DOWNLOADS
from harness.data.registry import availability, data_root
from harness.files.cache import cache_folder
from harness.records.environment import allocator_settings, device_name, environment
from harness.records.processors import processor_quota
from harness.training.device import available_threads, check_workspace_variable, why_no_gpu


@dataclass(frozen=True)
class Diagnostic:
    """One thing that was looked for."""

    what: str
    found: bool
    detail: str
    meaning: str


def findings(root: Path | None) -> list[Diagnostic]:
    """Devices, data sets, weights, versions.

    Raises:
        ValueError: the data root named isn't there.
    """
    found = [*_devices(), _nvml(), *_data(data_root(root)), *_weights(), *_versions()]
    cache = cache_folder()
    found.append(Diagnostic("cache", cache.is_dir(), str(cache), "stand-ins are drawn once and kept here"))
    return found


def _devices() -> list[Diagnostic]:
    cpu = environment(torch.device("cpu"))
    size = f"{cpu['cores']} cores, {cpu['memory_gib']} GiB"
    listed = [Diagnostic("CPU", True, f"{cpu['processor']}, {size}", "runs everything here")]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        device = torch.device("cuda", index)
        facts = environment(device)
        detail = f"{device_name(device)}, driver {facts['driver']}, CUDA {facts['cuda']}"
        listed.append(Diagnostic(f"GPU {index}", True, detail, "chosen by --device auto" if index == 0 else ""))
    if not count:
        listed.append(
            Diagnostic(
                "GPU", False, why_no_gpu(), "GPU figures stay 'not measured'; the profile `documented` would take days"
            )
        )
    return [*listed, _threads(), *_settings()]


def _threads() -> Diagnostic:
    quota = processor_quota()
    detail = (
        f"{available_threads()} by default; waiting: {environment(torch.device('cpu'))['waiting'] or 'as OpenMP does'}"
    )
    if quota is not None:
        detail += f"; a control group grants {quota:g} processors"
    return Diagnostic("threads", True, detail, "small steps take one; a run keeps its number")


def _settings() -> list[Diagnostic]:
    """Variables that make figures others than by default."""
    listed = []
    try:
        check_workspace_variable()
    except ValueError as error:
        listed.append(Diagnostic("cuBLAS", False, str(error), "on a GPU, deterministic runs are refused"))
    if allocator_settings():
        listed.append(
            Diagnostic("allocator", True, allocator_settings(), "reserved GPU memory isn't what the estimate computes")
        )
    return listed


def _nvml() -> Diagnostic:
    try:
        import pynvml

        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
    except Exception as error:  # NVML raises its own types
        return Diagnostic(
            "NVML", False, str(error), "the driver's own figure of GPU memory is left out, with this reason"
        )
    return Diagnostic("NVML", True, "the driver answers", "GPU memory is also measured as nvidia-smi shows it")


def _data(root: Path | None) -> list[Diagnostic]:
    return [
        Diagnostic(
            f"data: {entry.dataset}",
            entry.found,
            entry.place,
            "the real data are used" if entry.found else f"used instead: {entry.otherwise}; {_to_have(entry.dataset)}",
        )
        for entry in availability(root)
    ]


def _to_have(dataset: str) -> str:
    name = dataset.removesuffix("-bedroom")
    if name in DOWNLOADS:
        return f"`gan-harness fetch {name} --data-root FOLDER` brings it"
    return "claims about the data stay 'not measured'"


def _weights() -> list[Diagnostic]:
    """Those of others, where `fetch` puts them."""
    told = {
        "inception": "used by FID and IS on photographs",
        "vgg19": "style-transfer takes them as its option `weights`",
        "pgan": "idl-pgan-celebahq512 takes it as its option `checkpoint`",
    }
    found = []
    for name, meaning in told.items():
        place = DOWNLOADS[name].place(None)
        have = place.is_file()
        said = meaning if have else f"{meaning}; `gan-harness fetch {name}` brings it, nothing comes by itself"
        found.append(Diagnostic(f"weights: {name}", have, str(place), said))
    return found


def _versions() -> list[Diagnostic]:
    facts = environment(torch.device("cpu"))
    versions = {"python": facts["python"], **facts["versions"]}
    return [
        Diagnostic(name, version != "absent", version, "" if version != "absent" else "pip install -e '.[dev]'")
        for name, version in versions.items()
    ]
