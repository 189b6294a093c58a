"""Trainings of two weights, right and wrong, that know nothing of any harness."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def _trained(seed: int, steps: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    network = nn.Linear(2, 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
            for _ in range(steps):
                parameter.add_(torch.randn(parameter.shape, generator=generator))
    return network


def right(seed: int, steps: int, _: Path) -> dict[str, Any]:
    return {"network": _trained(seed, steps), "losses": [0.5, seed]}


def leaving_files(seed: int, steps: int, folder: Path) -> None:
    torch.save({"net": _trained(seed, steps).state_dict()}, folder / "net.pth")


def saying_nothing(_: int, __: int, ___: Path) -> None:
    return None


def without_its_seed(_: int, steps: int, folder: Path) -> dict[str, Any]:
    return {"network": right(0, steps, folder)["network"]}


def unsteady(seed: int, steps: int, folder: Path) -> dict[str, Any]:
    found = right(seed, steps, folder)
    with torch.no_grad():
        found["network"].bias += int.from_bytes(os.urandom(3))
    return found


def other_in_another_process(seed: int, steps: int, _: Path) -> dict[str, Tensor]:
    return {"same": torch.zeros(1), "pid": torch.tensor([os.getpid(), seed, steps])}


def failing_in_another_process(seed: int, steps: int, folder: Path) -> dict[str, Any]:
    if folder.name == "fresh":
        raise RuntimeError("not here")
    return right(seed, steps, folder)


def _slowly(seed: int, steps: int, folder: Path, *, forgets: bool) -> Tensor:
    kept = folder / "kept.pt"
    at, done = torch.load(kept, weights_only=True) if kept.is_file() else (torch.tensor(float(seed)), 0)
    if forgets:
        done = 0
    while done < steps:
        at, done = at * 1.5 + 1, done + 1
        torch.save((at, done), folder / "part")
        (folder / "part").rename(kept)
        time.sleep(0.02)
    return at


def resuming(seed: int, steps: int, folder: Path) -> Tensor:
    return _slowly(seed, steps, folder, forgets=False)


def resuming_wrongly(seed: int, steps: int, folder: Path) -> Tensor:
    return _slowly(seed, steps, folder, forgets=True)
