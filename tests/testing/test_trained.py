from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from harness.files.tensors import write_tensors
from harness.testing.trained import digests_of


def test_everything_has_a_name_and_its_place(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    found = digests_of({"net": network, "opt": optimizer, "rest": [np.float64(1.5), {"step": 3}]}, tmp_path)
    assert list(found)[:2] == ["net.weight", "net.bias"]
    assert {"opt.state.0.exp_avg", "rest[0]", "rest[1].step"} <= found.keys()


def test_any_bit_shows_and_nothing_else(tmp_path: Path) -> None:
    one, same, other = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0000002])
    assert digests_of(one, tmp_path) == digests_of(same, tmp_path) != digests_of(other, tmp_path)
    assert digests_of({"a": 1}, tmp_path) != digests_of({"a": 1.0}, tmp_path)


def test_files_that_were_left(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt")
    (tmp_path / "deep").mkdir()
    write_tensors(tmp_path / "deep" / "b.safetensors", {"v": torch.zeros(1)})
    (tmp_path / "log.txt").write_text("no weights")
    assert list(digests_of(None, tmp_path)) == ["a.pt.w", "deep/b.safetensors.v"]
