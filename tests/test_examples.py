"""The examples, run as their own first lines say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import call

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_plain_script_is_checked_by_ten_lines() -> None:
    done = call(["examples/test_plain_dcgan.py", "-q", "-p", "no:cacheprovider"], ROOT, timeout=600, program="pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
