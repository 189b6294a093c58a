"""The plugin belongs to these suites alone: its options would break other people's pytest."""

from __future__ import annotations

import gc

import pytest

from harness.suite.plugin import open_session

pytest_plugins = ["harness.suite.plugin"]


def pytest_configure(config: pytest.Config) -> None:
    """Check the options before anything is collected, so that a mistake is one line."""
    open_session(config)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the memory suite's collections of garbage needn't look through all of it again."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()
