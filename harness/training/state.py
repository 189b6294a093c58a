"""The whole state of a run as named tensors and plain values: what checkpoints hold and what digests cover."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from harness.files.tensors import SafetensorError, save
from harness.training.schedules import described as made_as
from harness.training.schedules import restore, state_of
from harness.training.streams import Streams

Scalars = dict[str, Any]


class TrainingState:
    """Parameters, buffers, optimisers, random streams and position of a run.

    `step` counts finished steps. `order` is the data-order stream's state from which the epoch that holds the next
    step draws its permutation.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        streams: Streams,
        schedulers: Mapping[str, LRScheduler] | None = None,
    ) -> None:
        self.networks = networks
        self.optimizers = optimizers
        self.streams = streams
        self.schedulers = schedulers or {}
        self._identity = self._described()  # as they are made: a schedule changes learning rates later
        self.step = 0
        self.order = streams.order.get_state()
        self.check_keepable()
        self._open = frozenset(self._not_finite())  # a mask of infinities, say: none of training's making

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, in a fixed order; not copied, where it lies."""
        found: dict[str, Tensor] = {}
        for role, network in self.networks.items():
            for name, value in network.state_dict().items():
                if isinstance(value, Tensor):
                    found[f"network/{role}/{name}"] = value
            for name, value in _left_out(network).items():
                found[f"buffer/{role}/{name}"] = value
        for role, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    if isinstance(value, Tensor):
                        found[f"optimizer/{role}/{index}/{slot}"] = value
        for name, state in self.streams.states().items():
            found[f"random/{name}"] = state
        found["random/order"] = self.order
        return found

    def check_keepable(self) -> None:
        """Say what no checkpoint could keep: before the first step, and after it, which makes the optimisers' state.

        Raises:
            ValueError: an extra state, or a state of an optimiser, that is neither of JSON's types nor a tensor; or a
                tensor of a kind that the format doesn't know.
        """
        self.scalars()
        for name, tensor in self.tensors().items():
            plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
            if not plain or tensor.is_conj() or not _is_known(tensor.dtype):
                kind = f"{tensor.dtype}, {tensor.layout}, {tensor.device.type}"
                raise ValueError(f"{name.replace('/', ' ')} is a tensor ({kind}) that no checkpoint can keep")

    def scalars(self) -> Scalars:
        """Every value that isn't a tensor, as JSON types.

        Raises:
            ValueError: a network's extra state, or an optimiser's, is neither that nor a tensor.
        """
        optimizers = {}
        for role, optimizer in self.optimizers.items():
            state = optimizer.state_dict()
            loose = {
                f"{index}/{slot}": _checked(value, f"state {slot} of the optimiser of {role}")
                for index, slots in state["state"].items()
                for slot, value in slots.items()
                if not isinstance(value, Tensor)
            }
            groups = [{key: _plain(value) for key, value in group.items()} for group in state["param_groups"]]
            optimizers[role] = {"groups": groups, "loose": loose}
        found: Scalars = {"step": self.step, "optimizers": optimizers}
        extra = {
            f"{role}/{name}": _checked(value, f"extra state {role}.{name}")
            for role, network in self.networks.items()
            for name, value in network.state_dict().items()
            if not isinstance(value, Tensor)
        }
        if extra:
            found["extra"] = extra
        if self.schedulers:
            found["schedulers"] = {role: state_of(scheduler) for role, scheduler in self.schedulers.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor], scalars: Scalars) -> None:
        """Set everything to what `tensors` and `scalars` returned."""
        for role, network in self.networks.items():
            load_network(network, role, tensors, scalars)
        for role, optimizer in self.optimizers.items():
            prefix = f"optimizer/{role}/"
            slots: dict[int, dict[str, Any]] = {}
            saved = scalars["optimizers"][role]
            found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)} | saved["loose"]
            for name, value in found.items():
                index, slot = name.split("/")
                slots.setdefault(int(index), {})[slot] = value
            groups = [
                {key: _unplain(value, like.get(key)) for key, value in group.items()}
                for group, like in zip(saved["groups"], optimizer.param_groups, strict=True)
            ]
            optimizer.load_state_dict({"state": slots, "param_groups": groups})
        for role, scheduler in self.schedulers.items():
            restore(scheduler, scalars["schedulers"][role])
        self.streams.restore({k.removeprefix("random/"): v for k, v in tensors.items() if k.startswith("random/")})
        self.order = tensors["random/order"]
        self.streams.order.set_state(self.order)
        self.step = scalars["step"]

    def identity(self) -> dict[str, str]:
        """What two states must share for one to go on with the other: networks, optimisers as made, schedules."""
        return dict(self._identity)

    def _described(self) -> dict[str, str]:
        described = {f"schedule of {role}": made_as(one) for role, one in self.schedulers.items()}
        for role, network in self.networks.items():
            for name, value in network.state_dict().items():
                if isinstance(value, Tensor):
                    described[f"{role}.{name}"] = f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
        for role, optimizer in self.optimizers.items():
            described[f"optimizer of {role}"] = type(optimizer).__name__
            for number, group in enumerate(optimizer.param_groups):
                which = f"optimizer of {role}" + (f", group {number + 1}" if number else "")
                for key, value in sorted(group.items()):
                    if key != "params" and isinstance(value, bool | int | float | tuple | list | str | Tensor):
                        described[f"{which}: {key}"] = str(_told(value))
        return described

    def digests(self) -> dict[str, str]:
        """A digest of each tensor, and one of the plain values."""
        found = {name: digest(tensor) for name, tensor in self.tensors().items()}
        found["scalars"] = f"{zlib.crc32(repr(self.scalars()).encode()):08x}"
        return found

    def first_non_finite(self) -> str | None:
        """The name of the first network tensor that holds NaN or an infinity, and held none as it was made."""
        found = next((name for name in self._not_finite() if name not in self._open), None)
        return found and found.partition("/")[2].replace("/", " ", 1)

    def _not_finite(self) -> Iterator[str]:
        for name, tensor in self.tensors().items():
            of_a_network = name.startswith(("network/", "buffer/"))
            if of_a_network and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                yield name


def load_network(network: nn.Module, role: str, tensors: Mapping[str, Tensor], scalars: Scalars) -> None:
    """Set a network to what a whole state holds of it, with buffers that `state_dict` leaves out.

    Raises:
        RuntimeError: the state is another network's.
    """
    found = of_network(role, tensors, scalars)
    for name in found.keys() - network.state_dict().keys():  # made by a step, as this one hasn't been yet
        path, _, buffer = name.rpartition(".")
        module = dict(network.named_modules()).get(path)
        if module is not None and isinstance(found[name], Tensor) and getattr(module, buffer, None) is None:
            module.register_buffer(buffer, found[name].clone())
    network.load_state_dict(found)
    with torch.no_grad():
        for name, value in _left_out(network).items():
            if f"buffer/{role}/{name}" in tensors:
                value.copy_(tensors[f"buffer/{role}/{name}"])


def _left_out(network: nn.Module) -> dict[str, Tensor]:
    """The buffers that aren't part of its `state_dict`."""
    kept = network.state_dict().keys()
    return {name: value for name, value in network.named_buffers(remove_duplicate=False) if name not in kept}


@functools.cache
def _is_known(kind: torch.dtype) -> bool:
    """Whether the checkpoints' format knows a type of values."""
    try:
        save({"x": torch.zeros(1, dtype=kind)})
    except (KeyError, SafetensorError, RuntimeError):
        return False
    return True


def _told(value: Any) -> Any:
    """A setting as it is compared: a tuple as a list, a tensor by its value."""
    if isinstance(value, Tensor):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def of_network(role: str, tensors: Mapping[str, Tensor], scalars: Scalars) -> dict[str, Any]:
    """What a network's `load_state_dict` takes, out of a whole state."""
    prefix = f"network/{role}/"
    found: dict[str, Any] = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    extra = scalars.get("extra", {})
    return found | {k.removeprefix(f"{role}/"): v for k, v in extra.items() if k.startswith(f"{role}/")}


def _plain(value: Any) -> Any:
    """A setting of an optimiser as JSON types: a learning rate may be a tensor."""
    return {"tensor": value.item()} if isinstance(value, Tensor) else value


def _unplain(value: Any, like: Any) -> Any:
    """A setting as the optimiser has it: JSON knows neither tensors nor tuples."""
    if isinstance(value, dict) and isinstance(like, Tensor):
        return torch.tensor(value["tensor"], dtype=like.dtype, device=like.device)
    return tuple(value) if isinstance(like, tuple) else value


def _checked(value: Any, name: str) -> Any:
    try:
        if json.loads(json.dumps(value)) == value:
            return value
    except (TypeError, ValueError):
        pass
    raise ValueError(f"the {name} is a {type(value).__name__} that no checkpoint can keep: use JSON's types")


def digest(tensor: Tensor) -> str:
    """8 hexadecimal digits that change with the tensor's type, shape or any bit.

    A CRC: it is to tell different bits from equal ones after every step, not to withstand an attack.
    """
    tensor = tensor.detach().cpu().contiguous()
    header = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    return f"{zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, header):08x}"
