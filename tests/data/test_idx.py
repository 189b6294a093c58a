from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.data.idx import read_idx, write_idx


@given(arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6))))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("idx")
    write_idx(folder / "a", array)
    (folder / "a.gz").write_bytes(gzip.compress((folder / "a").read_bytes()))
    for name in ("a", "a.gz"):
        assert np.array_equal(read_idx(folder / name, 3), array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-1], "is truncated: its header announces 24 bytes"),
        (lambda raw: raw + b"x", "is too long"),
        (lambda raw: raw[:7], "is truncated: 7 bytes, its header alone needs 16"),
        (lambda raw: b"\x00\x00\x08\x01" + raw[4:], "magic number 0x00000801, not 0x00000803"),
        (lambda raw: b"", "is truncated"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "file"
    write_idx(path, np.zeros((2, 3, 4), np.uint8))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("raw", [b"no gzip at all", gzip.compress(b"x" * 1000, mtime=0)[:20]])
def test_a_damaged_archive_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="can't be decompressed"):
        read_idx(path, 3)
