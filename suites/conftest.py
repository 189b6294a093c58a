"""The plugin belongs to these suites alone: its options would break other people's pytest."""

from __future__ import annotations

import gc

pytest_plugins = ["harness.suite.plugin"]


def pytest_collection_finish() -> None:
    """What is imported by now stays: the memory suite's collections of garbage needn't look through all of it again."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()
