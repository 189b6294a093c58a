from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from reference.blocks.wrapped import unwrapped


def compiled(network: nn.Module) -> nn.Module:
    made: Any = torch.compile(network)
    assert isinstance(made, nn.Module)
    return made


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda network: network, ""),
        (nn.DataParallel, "'module.' (DataParallel) taken off"),
        (lambda network: nn.DataParallel(nn.DataParallel(network)), "'module.' (DataParallel) taken off"),
        (compiled, "'_orig_mod.' (torch.compile) taken off"),
        (
            lambda network: nn.DataParallel(compiled(network)),
            "'_orig_mod.' (torch.compile) and 'module.' (DataParallel) taken off",
        ),
    ],
)
def test_a_wrapped_network_has_the_names_of_its_own(wrap: object, said: str, caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    wrapped = wrap(network)  # type: ignore[operator]
    found = unwrapped(wrapped.state_dict(), "weights.pt")
    network.load_state_dict(found)
    told = "".join(record.getMessage() for record in caplog.records)
    assert (said in told and "weights.pt was saved from a wrapped network" in told) if said else told == ""


def test_what_is_no_name_is_left_to_who_loads_it() -> None:
    assert unwrapped({7: "x", "module.a": "y"}, "x") == {7: "x", "module.a": "y"}  # type: ignore[dict-item]


def test_a_part_that_is_called_module_keeps_its_name() -> None:
    network = nn.ModuleDict({"module": nn.Linear(1, 1), "other": nn.Linear(1, 1)})
    assert unwrapped(network.state_dict(), "x").keys() == network.state_dict().keys()


def test_a_part_that_was_compiled_alone_is_found_too() -> None:
    network = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    names = list(network.state_dict())
    network[1] = compiled(network[1])
    assert list(unwrapped(network.state_dict(), "x")) == names
