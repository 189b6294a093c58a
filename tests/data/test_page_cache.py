from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

import pytest

from harness.data.page_cache import StillCachedError, drop, resident_share

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no posix_fadvise here")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("one", "two", "empty", "odd")]
    for path, pages in zip(paths, (64, 300, 0, 2.5), strict=True):
        path.write_bytes(os.urandom(int(pages * mmap.PAGESIZE)))
    return paths


def test_what_was_read_is_in_memory_and_what_was_dropped_is_not(files: list[Path]) -> None:
    for file in files:
        file.read_bytes()
    assert resident_share(files) > 0.99
    try:
        drop(files)
    except StillCachedError as error:
        pytest.skip(f"a temporary folder in memory: {error}")
    assert resident_share(files) <= 0.01
    with files[1].open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
        os.pread(stream.fileno(), mmap.PAGESIZE, 0)
    assert 0 < resident_share(files) < 0.9
    files[1].read_bytes()
    assert resident_share([files[1]]) == 1


def test_looking_and_dropping_change_no_byte(files: list[Path]) -> None:
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    resident_share(files)
    with contextlib.suppress(StillCachedError):
        drop(files)
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_a_file_system_in_memory_says_that_it_keeps_everything() -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no /dev/shm here")
    file = memory / f"gan-harness-test-{os.getpid()}"
    file.write_bytes(bytes(20 * mmap.PAGESIZE))
    try:
        with pytest.raises(StillCachedError, match="still holds 20 of 20 pages below /dev/shm after"):
            drop([file])
        assert resident_share([file]) == 1
    finally:
        file.unlink()


def test_nothing_is_no_difficulty(tmp_path: Path) -> None:
    drop([])
    assert resident_share([]) == 0
    with pytest.raises(FileNotFoundError):
        drop([tmp_path / "none"])
