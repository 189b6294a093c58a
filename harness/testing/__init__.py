"""For a training loop that is all one's own: what the harness checks, as functions to call from one's own pytest.

    from harness.testing import assert_same_bits

    def test_same_bits(tmp_path):
        assert_same_bits(my_training.train, tmp_path)

What doesn't hold is an AssertionError in one line; what is asked for wrongly a ValueError.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.testing.bits import Train, assert_same_bits
    from harness.testing.memory import assert_no_leak, peak_bytes
    from harness.testing.quality import assert_kept, measure_images

__all__ = ["Train", "assert_kept", "assert_no_leak", "assert_same_bits", "measure_images", "peak_bytes"]
_FROM = {
    "Train": "bits",
    "assert_kept": "quality",
    "assert_no_leak": "memory",
    "assert_same_bits": "bits",
    "measure_images": "quality",
    "peak_bytes": "memory",
}


def __getattr__(name: str) -> Any:
    """Each when it is first asked for: a training in another process needs none of the measures."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FROM[name]}"), name)
