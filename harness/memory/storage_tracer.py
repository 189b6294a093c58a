"""Follow every storage that a reference's step takes and gives back, with tensors that have a shape and no values.

No GPU, no data and next to no memory: PyTorch's fake tensors run the reference's own step, forwards and backwards
and through its optimisers, and a dispatch mode beneath it sees every operator's results come and go.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.memory.cublas import Workspaces
from harness.memory.timeline import Event, Timeline
from harness.training.player import EnginePlayer
from harness.training.synthetic_step import DATA_DEPENDENT, SyntheticStep
from reference import Reference

WEIGHTS, GRADIENTS, OPTIMIZER, BATCH = "weights", "gradients", "optimiser state", "batch"
ACTIVATIONS, BACKWARD, UPDATE = "activations", "backward pass", "update"
COUNTERS, WORKSPACES = "step counters", "cuBLAS workspaces"
CPU = torch.device("cpu")
KINDS = (WEIGHTS, GRADIENTS, OPTIMIZER, BATCH, ACTIVATIONS, BACKWARD, UPDATE, WORKSPACES)
_OPAQUE = ("SparseTensorImpl", "not supported on ScriptModules")  # tensors without a storage, layers without hooks
_WARM_UP = 1  # the first step makes the optimisers' state


class UntraceableError(ValueError):
    """A step that reads values, which fake tensors don't have."""


def trace_fake_step(
    reference: Reference, batch_size: int, *, as_on_cuda: bool, workspaces: Workspaces | None = None
) -> Timeline:
    """The memory of a first step, which makes the optimisers' state, and of a second, which is the timeline's last.

    Kinds: weights (with buffers), gradients of parameters, optimiser state, the batch, activations (all else that the
    losses' computation takes: outputs that the backward pass needs, noise, losses), what the backward pass takes
    beside gradients of parameters, what updates take in passing, the optimisers' step counters, which PyTorch keeps
    on the CPU, and cuBLAS' workspaces.

    Args:
        as_on_cuda: let optimisers work as they do on CUDA unless told otherwise: on all parameters at once. And let
            matrix products take their workspaces.
        workspaces: how; None for what this version of PyTorch does.

    Raises:
        UntraceableError: the step reads values.
        ValueError: it refuses this batch size.
    """
    tracer = StorageTracer(workspaces=(workspaces or Workspaces.of()) if as_on_cuda else None)
    with torch.random.fork_rng([]), contextlib.ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(tracer)
        try:
            tracer.steps(reference, batch_size, as_on_cuda=as_on_cuda)
        except DATA_DEPENDENT as error:
            raise UntraceableError(
                f"{reference.card.name} can't be followed without values: its step needs those of {error}"
            ) from error
        except (RuntimeError, NotImplementedError) as error:
            if not any(text in str(error) for text in _OPAQUE):
                raise
            raise UntraceableError(
                f"{reference.card.name} can't be followed: {' '.join(str(error).split())}"
            ) from error
    return tracer.timeline()


def trace_real_step(reference: Reference, batch_size: int, device: torch.device) -> Timeline:
    """The same of real tensors on a device: what the step holds there, whatever allocators and libraries add to it.

    Call it within `torch.random.fork_rng`.

    Raises:
        ValueError: it refuses this batch size.
    """
    tracer = StorageTracer(device)
    with tracer:
        tracer.steps(reference, batch_size, as_on_cuda=False)
    return tracer.timeline()


class StorageTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, every storage on `device` that an operator returns is an event when it is first seen and when it dies."""

    def __init__(self, device: torch.device = CPU, workspaces: Workspaces | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self._workspaces = workspaces
        self._kept: set[str] = set()  # the libraries whose workspaces have been brought
        self.events: list[Event] = []
        self.kinds: dict[int, str] = {}
        self._numbers: dict[int, int] = {}  # of storages alive, by id
        self._sizes: dict[int, int] = {}
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._owners: dict[int, str] = {}  # the layer whose storage it is
        self._layers: list[str] = []
        self._phase = ACTIVATIONS
        self._begin = self._end = 0

    def steps(self, reference: Reference, batch_size: int, *, as_on_cuda: bool) -> None:
        """Make everything, warm up, and take one more step."""

        def prepare(networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
            for role, network in networks.items():
                self._watch(role, network)
            if as_on_cuda:
                for group in (group for optimizer in optimizers.values() for group in optimizer.param_groups):
                    usual = group.get("foreach", 0) is None and not group.get("fused")
                    if usual and not isinstance(group["lr"], Tensor):
                        group["foreach"] = True

        prepared = SyntheticStep(reference, batch_size, self._device, make_player=self._player, prepare=prepare)
        for tensor in (prepared.batch.data, prepared.batch.labels, prepared.batch.condition):
            self.name(tensor, BATCH)
        for _ in range(_WARM_UP):
            prepared()
        self._begin = len(self.events)
        prepared()
        self._end = len(self.events)

    def timeline(self) -> Timeline:
        """What was seen."""
        return Timeline(tuple(self.events[: self._end]), self._begin, self.kinds)

    @contextlib.contextmanager
    def phase(self, name: str, layer: str = "") -> Iterator[None]:
        """Within, new storages are of this kind, and of this layer where no other is at work."""
        before, self._phase = self._phase, name
        if layer:
            self._layers.append(layer)
        try:
            yield
        finally:
            self._phase = before
            if layer:
                self._layers.pop()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operator = function.overloadpacket.__name__
        kwargs = kwargs or {}
        if self._workspaces is not None:
            for library, sizes in self._workspaces.kept_from(operator, args, kwargs).items():
                if library not in self._kept:
                    self._kept.add(library)
                    for size in sizes:
                        self._workspace(size, operator, args)
        result = function(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == self._device.type:
                self._see(leaf, operator, args)
        if self._workspaces is not None and (taken := self._workspaces.taken_by(operator, args, kwargs)):
            number = self._workspace(taken, operator, args)  # beside the result, whose memory is taken before
            self.events.append(Event(number, -taken))
        return result

    def _workspace(self, size: int, operator: str, args: Any) -> int:
        """A workspace's storage is taken; its number."""
        number = len(self._sizes)
        self._sizes[number] = size
        self.kinds[number] = WORKSPACES
        self.events.append(Event(number, size, self._layers[-1] if self._layers else self._layer_of(args), operator))
        return number

    def _see(self, tensor: Tensor, operator: str, args: Any) -> None:
        storage = tensor.untyped_storage()
        size, key = storage.nbytes(), id(storage)
        number = self._numbers.get(key)
        if number is not None and self._sizes[number] == size:
            if operator.endswith("_") and self._layers and self.kinds[number] == ACTIVATIONS:
                self._owners[number] = self._layers[-1]  # changed in place: now it is this layer's
            return
        if number is None:
            number = len(self._sizes)
            self._numbers[key] = number
            self._alive[key] = weakref.ref(storage, lambda _: self._gone(key))
            self.kinds[number] = self._phase
            self._owners[number] = self._layers[-1] if self._layers else self._layer_of(args)
        elif self._sizes[number]:
            self.events.append(Event(number, -self._sizes[number]))
        self._sizes[number] = size
        if size:
            self.events.append(Event(number, size, self._owners[number], operator))

    def _gone(self, key: int) -> None:
        number = self._numbers.pop(key)
        del self._alive[key]
        if self._sizes[number]:
            self.events.append(Event(number, -self._sizes[number]))

    def _layer_of(self, args: Any) -> str:
        """Whose backward pass this is: that of the first parameter among the arguments, else of an activation."""
        tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        numbers = [self._numbers.get(id(tensor.untyped_storage())) for tensor in tensors]
        known = [n for n in numbers if n is not None and self._owners.get(n)]
        known.sort(key=lambda n: (self.kinds[n] != WEIGHTS, self.kinds[n] != ACTIVATIONS))
        return self._owners[known[0]] if known else ""

    def name(self, tensor: Tensor | None, kind: str, owner: str = "") -> None:
        """Say what a tensor's storage holds."""
        if tensor is None:
            return
        number = self._numbers.get(id(tensor.untyped_storage()))
        if number is not None:
            self.kinds[number] = kind
            self._owners[number] = owner or self._owners[number]

    def _watch(self, role: str, network: nn.Module) -> None:
        for name, module in network.named_modules():
            layer = f"{role}.{name}" if name else role
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self.name(tensor, WEIGHTS, layer)
            # First of all hooks: one that refuses an input comes later, and leaving is undone in any case.
            module.register_forward_pre_hook(_Entering(self._layers, layer), prepend=True)
            module.register_forward_hook(self._leave, always_call=True)

    def _leave(self, *_: Any) -> None:
        self._layers.pop()

    def _player(self, role: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> EnginePlayer:
        return _FollowedPlayer(role, network, optimizer, self)


class _Entering:
    """A forward pre-hook that says which layer is at work."""

    def __init__(self, layers: list[str], layer: str) -> None:
        self.layers, self.layer = layers, layer

    def __call__(self, *_: Any) -> None:
        self.layers.append(self.layer)


class _FollowedPlayer(EnginePlayer):
    """A player that says which phase its step is in, and what its gradients and its optimiser's state are."""

    def __init__(self, role: str, network: nn.Module, optimizer: torch.optim.Optimizer, tracer: StorageTracer) -> None:
        super().__init__(network, optimizer)
        self.role = role
        self.tracer = tracer

    def backward(self, loss: Tensor) -> None:
        with self.tracer.phase(BACKWARD):
            super().backward(loss)
        for parameter in self.parameters:
            self.tracer.name(parameter.grad, GRADIENTS)

    def step(self) -> None:
        with self.tracer.phase(UPDATE, f"{self.role}'s optimiser"):
            super().step()
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    self.tracer.name(value, COUNTERS if name == "step" else OPTIMIZER)
