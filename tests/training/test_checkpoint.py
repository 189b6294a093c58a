from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.training.checkpoint import (
    Checkpoint,
    DamagedError,
    checkpoint_folders,
    differences,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from tests.logs import hearing


def checkpoint(step: int) -> Checkpoint:
    tensors = {"a/b.weight": torch.arange(6.0).view(2, 3).t(), "random/noise": torch.arange(5, dtype=torch.uint8)}
    return Checkpoint(step, {"seed": "1"}, {"step": step, "lr": 0.1 + 0.2}, tensors)


def test_bits_survive(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, checkpoint(7), keep=3)
    back = read_checkpoint(path)
    assert back.scalars == checkpoint(7).scalars
    assert back.identity == {"seed": "1"}
    assert all(torch.equal(back.tensors[k], v) for k, v in checkpoint(7).tensors.items())
    assert not list(tmp_path.rglob("*.pt"))
    assert {p.name for p in path.iterdir()} == {"tensors.safetensors", "state.json"}


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        write_checkpoint(tmp_path, checkpoint(step), keep=2)
    assert [p.name for p in checkpoint_folders(tmp_path)] == ["step-00000004", "step-00000005"]


@given(st.data())
def test_any_damaged_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = write_checkpoint(tmp_path_factory.mktemp("c"), checkpoint(1), keep=1)
    file = path / data.draw(st.sampled_from(["tensors.safetensors", "state.json"]))
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 2))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(raw)
    with pytest.raises(DamagedError, match="damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_missing_or_cut_file_is_noticed(tmp_path: Path, name: str) -> None:
    path = write_checkpoint(tmp_path, checkpoint(1), keep=1)
    raw = (path / name).read_bytes()
    (path / name).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DamagedError):
        read_checkpoint(path)
    (path / name).unlink()
    with pytest.raises(DamagedError):
        read_checkpoint(path)


def test_the_one_before_a_damaged_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, checkpoint(1), keep=3)
    (write_checkpoint(tmp_path, checkpoint(2), keep=3) / "state.json").write_text("")
    with hearing() as said:
        found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 1
    assert len(said) == 1
    assert "step-00000002" in said[0]
    assert "going back to step-00000001" in said[0]


def test_no_checkpoint_and_none_that_can_be_read(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    (write_checkpoint(tmp_path, checkpoint(2), keep=3) / "state.json").unlink()
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        newest_checkpoint(tmp_path)


def test_differences_are_listed() -> None:
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == [
        "b: 2 in the checkpoint, 3 now",
        "c: absent in the checkpoint, 4 now",
    ]
    assert differences({"a": "1"}, {"a": "1"}) == []
