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


def restore(scheduler: LRScheduler, state: Any) -> None:
    """Set a scheduler to what `state_of` returned."""
    scheduler.load_state_dict(_unplain(state))


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
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
    if isinstance(value, dict):
        return _KINDS[value["kind"]](_pairs(_unplain(value["of"]), value["kind"]))
    return value


def _pairs(items: list[Any], kind: str) -> Any:
    return items if kind == "tuple" else dict(items)
