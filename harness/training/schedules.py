"""Learning-rate schedules of a reference: made with its optimisers, stepped after each step, kept in checkpoints.

A reference that has some defines `schedulers(optimizers)`, which returns torch's schedulers by role; they count steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from reference import Reference

Schedulers = dict[str, LRScheduler]
_COUNTED = ("last_epoch", "base_lrs", "lr_lambdas")
_KINDS = {"dict": dict, "Counter": Counter, "tuple": tuple}


def make_schedulers(reference: Reference, optimizers: Mapping[str, torch.optim.Optimizer]) -> Schedulers:
    """A reference's schedulers by role; none where it defines none.

    Raises:
        ValueError: what it returns isn't schedulers by role, or holds one that waits for a metric.
    """
    define = getattr(reference, "schedulers", None)
    if define is None:
        return {}
    found, name = define(optimizers), reference.card.name
    if not isinstance(found, Mapping) or not all(isinstance(one, LRScheduler) for one in found.values()):
        raise ValueError(f"schedulers of {name} must return torch's learning-rate schedulers by role, not {found!r}")
    strange = [role for role, one in found.items() if all(one.optimizer is not mine for mine in optimizers.values())]
    if strange:
        raise ValueError(f"the scheduler of the {strange[0]} of {name} changes an optimiser that isn't the run's")
    waiting = [role for role, one in found.items() if isinstance(one, ReduceLROnPlateau)]
    if waiting:
        raise ValueError(f"the scheduler of the {waiting[0]} of {name} waits for a metric, and a step has none to give")
    return dict(found)


def state_of(scheduler: LRScheduler) -> Any:
    """What a scheduler has counted, as JSON types.

    Raises:
        ValueError: it holds something else.
    """
    return _plain(scheduler.state_dict(), type(scheduler).__name__)


def described(scheduler: LRScheduler) -> str:
    """What a scheduler was made as: what another one may not go on with."""
    settings = {
        key: value
        for key, value in scheduler.state_dict().items()
        if key not in _COUNTED and key[0] != "_" and isinstance(value, bool | int | float | str | list | tuple)
    }
    rules = [_written(rule) for rule in getattr(scheduler, "lr_lambdas", [])]
    return f"{type(scheduler).__name__} {settings}" + (f" {rules}" if rules else "")


def _written(rule: Any) -> str:
    """What a function computes with, as far as that can be seen: its constants, names, and what it has kept."""
    code = getattr(rule, "__code__", None)
    if code is None:
        return f"{type(rule).__name__} {vars(rule) if hasattr(rule, '__dict__') else ''}"
    constants = [constant for constant in code.co_consts if not hasattr(constant, "co_code")]
    kept = [cell.cell_contents for cell in rule.__closure__ or () if isinstance(cell.cell_contents, bool | int | float)]
    return f"{constants} {list(code.co_names)} {kept}"


def restore(scheduler: LRScheduler, state: Any) -> None:
    """Set a scheduler to what `state_of` returned."""
    scheduler.load_state_dict(_unplain(state))


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor) and value.numel() == 1:  # 64 bits would compute other bits than its own
        return {"kind": "tensor", "of": value.item(), "type": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, list):
        return [_plain(one, name) for one in value]
    for kind, cls in _KINDS.items():
        if type(value) is cls:
            pairs = [list(pair) for pair in value.items()] if isinstance(value, dict) else list(value)
            return {"kind": kind, "of": _plain(pairs, name)}
    raise ValueError(f"the state of the scheduler {name} holds a {type(value).__name__}, which no checkpoint can keep")


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return [_unplain(one) for one in value]
    if isinstance(value, dict) and value["kind"] == "tensor":
        return torch.tensor(value["of"], dtype=getattr(torch, value["type"]))
    if isinstance(value, dict):
        return _KINDS[value["kind"]](_pairs(_unplain(value["of"]), value["kind"]))
    return value


def _pairs(items: list[Any], kind: str) -> Any:
    return items if kind == "tuple" else dict(items)
