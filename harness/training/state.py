"""The whole state of a run as named tensors and plain values: what checkpoints hold and what digests cover."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

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
        self.scalars()  # what no checkpoint can keep is said now

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, in a fixed order; not copied, where it lies."""
        found: dict[str, Tensor] = {}
        for role, network in self.networks.items():
            for name, value in network.state_dict().items():
                if isinstance(value, Tensor):
                    found[f"network/{role}/{name}"] = value
        for role, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    if isinstance(value, Tensor):
                        found[f"optimizer/{role}/{index}/{slot}"] = value
        for name, state in self.streams.states().items():
            found[f"random/{name}"] = state
        found["random/order"] = self.order
        return found

    def scalars(self) -> Scalars:
        """Every value that isn't a tensor, as JSON types.

        Raises:
            ValueError: a network's extra state is neither that nor a tensor.
        """
        optimizers = {}
        for role, optimizer in self.optimizers.items():
            state = optimizer.state_dict()
            loose = {
                f"{index}/{slot}": value
                for index, slots in state["state"].items()
                for slot, value in slots.items()
                if not isinstance(value, Tensor)
            }
            groups = [{key: _plain(value) for key, value in group.items()} for group in state["param_groups"]]
            optimizers[role] = {"groups": groups, "loose": loose}
        found: Scalars = {"step": self.step, "optimizers": optimizers}
        extra = {
            f"{role}/{name}": _checked(value, f"{role}.{name}") for role, network in self.networks.items()
            for name, value in network.state_dict().items() if not isinstance(value, Tensor)
        }  # fmt: skip
        if extra:
            found["extra"] = extra
        if self.schedulers:
            found["schedulers"] = {role: state_of(scheduler) for role, scheduler in self.schedulers.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor], scalars: Scalars) -> None:
        """Set everything to what `tensors` and `scalars` returned."""
        for role, network in self.networks.items():
            network.load_state_dict(of_network(role, tensors, scalars))
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
        described = {f"schedule of {role}": type(one).__name__ for role, one in self.schedulers.items()}
        for role, network in self.networks.items():
            for name, value in network.state_dict().items():
                if isinstance(value, Tensor):
                    described[f"{role}.{name}"] = f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
        for role, optimizer in self.optimizers.items():
            described[f"optimizer of {role}"] = type(optimizer).__name__
            for key, value in sorted(optimizer.param_groups[0].items()):
                if key != "params" and isinstance(value, bool | int | float | tuple | list | str):
                    shown = list(value) if isinstance(value, tuple) else value
                    described[f"optimizer of {role}: {key}"] = str(shown)
        return described

    def digests(self) -> dict[str, str]:
        """A digest of each tensor, and one of the plain values."""
        found = {name: digest(tensor) for name, tensor in self.tensors().items()}
        found["scalars"] = f"{zlib.crc32(repr(self.scalars()).encode()):08x}"
        return found

    def first_non_finite(self) -> str | None:
        """The name of the first network tensor that holds NaN or an infinity."""
        for name, tensor in self.tensors().items():
            if name.startswith("network/") and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                return name.removeprefix("network/").replace("/", " ", 1)
        return None


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
    raise ValueError(
        f"the extra state {name} is a {type(value).__name__} that no checkpoint can keep: use JSON's types"
    )


def digest(tensor: Tensor) -> str:
    """8 hexadecimal digits that change with the tensor's type, shape or any bit.

    A CRC: it is to tell different bits from equal ones after every step, not to withstand an attack.
    """
    tensor = tensor.detach().cpu().contiguous()
    header = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    return f"{zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, header):08x}"
