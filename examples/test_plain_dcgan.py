"""What it takes to check `plain_dcgan.py`: pytest examples/test_plain_dcgan.py"""

from __future__ import annotations

from pathlib import Path

import plain_dcgan  # type: ignore[import-not-found]

from harness.testing import assert_no_leak, assert_same_bits, peak_bytes


def test_same_bits(tmp_path: Path) -> None:
    assert_same_bits(plain_dcgan.train, tmp_path, steps=40, resumes=True)


def test_nothing_leaks() -> None:
    assert_no_leak(plain_dcgan.Training(batch_size=4).step)


def test_memory_grows_with_the_batch_alone() -> None:
    peaks = peak_bytes(lambda size: plain_dcgan.Training(size).step, [8, 16, 32])
    assert peaks[32] - peaks[16] == 2 * (peaks[16] - peaks[8]), "so many bytes an image, whatever the batch"
