"""How many floating-point operations a training step takes, and how many steps a budget buys."""

from __future__ import annotations

import contextlib
import copy
from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.training.device import available_threads
from harness.training.networks import made_networks
from harness.training.synthetic_step import DATA_DEPENDENT, SyntheticStep
from reference import Reference

_COUNTED = 4
SMALL_STEP = 1.5e8  # up to here a second thread takes nothing off a step, measured on two idle cores
_SMALL_SAMPLE = 3 * 32 * 32  # values
_LEAST = 6  # operations for each parameter and sample, at least: two forwards, four backwards


def step_threads(reference: Reference, batch_size: int, device: torch.device) -> int:
    """How many CPU threads steps of this size are computed with: one where more would only wait for each other.

    It follows from the reference, the batch, the processors that there are, and what somebody has told PyTorch.
    """
    return 1 if device.type == "cpu" and _is_small(reference, batch_size) else available_threads()


def _is_small(reference: Reference, batch_size: int) -> bool:
    """Counted with a few real samples, which takes next to nothing: a stranger's step may keep tensors for later."""
    try:
        own = copy.deepcopy(reference)  # which may count its steps
        with torch.random.fork_rng([]):
            networks = made_networks(own).values()
            parameters = sum(p.numel() for network in networks for p in network.parameters())
        if _LEAST * parameters * batch_size > SMALL_STEP:
            return False
        counted = min(_COUNTED, batch_size)
        return _count(own, counted, contextlib.nullcontext()) * batch_size / counted <= SMALL_STEP
    except Exception:  # whatever is wrong with a stranger's step is said when it is taken
        return False


def takes_a_single_sample(reference: Reference) -> bool:
    """Whether a step takes a batch of one, which batch normalisation of vectors refuses; True where nobody knows."""
    with torch.random.fork_rng([]):
        for samples in (2, 1):
            try:
                with FakeTensorMode(allow_non_fake_inputs=True):
                    SyntheticStep(reference, samples, torch.device("cpu"))()
            except ValueError:
                return samples == 2  # it refuses two as well: something else is wrong, and is said when it is taken
            except Exception:
                return True
    return True


def step_operations(reference: Reference, batch_size: int) -> float:
    """Operations of one step in matrix products and convolutions, forwards and backwards.

    Counted for four samples; operations grow in proportion to the batch. Larger ones are counted with tensors that have
    no values, unless the step reads some: to follow those takes 0.2 ms an operator, longer than small ones compute.
    """
    counted, values = min(_COUNTED, reference.card.batch_size), contextlib.nullcontext()
    own = _copied(reference) if prod(reference.card.data_shape) <= _SMALL_SAMPLE else None
    if own is not None:
        return float(_count(own, counted, values)) * batch_size / counted
    try:
        operations = _count(reference, counted, FakeTensorMode(allow_non_fake_inputs=True))
    except DATA_DEPENDENT:
        operations = _count(reference, counted, values)
    return float(operations) * batch_size / counted


def _copied(reference: Reference) -> Reference | None:
    """One that may count its steps, and keep tensors for later; None where a stranger's can't be copied."""
    try:
        return copy.deepcopy(reference)
    except Exception:
        return None


def _count(reference: Reference, samples: int, tensors: contextlib.AbstractContextManager[Any]) -> int:
    with torch.random.fork_rng([]), tensors:
        prepared = SyntheticStep(reference, samples, torch.device("cpu"))
        with _Counting() as counter:  # type: ignore[no-untyped-call]
            prepared()
    return int(counter.operations)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what PyTorch's formulas say of each operation.

    Its own FlopCounterMode also tells modules apart, and fails where a gradient is taken of a leaf.
    """

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **(kwargs or {}), out_val=result)
        return result


def steps_within_budget(per_step: float, budget: float | None, documented: int) -> int:
    """The document's number of steps, or as many as `budget` operations buy, at least two."""
    if budget is None or per_step <= 0:
        return documented
    return max(2, min(documented, int(budget / per_step)))
