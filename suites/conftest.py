"""Check the options before anything is collected, so that a mistake is one line."""

from __future__ import annotations

import gc

import pytest

from harness.pytest_plugin import open_session


def pytest_configure(config: pytest.Config) -> None:
    open_session(config)


def pytest_collection_finish() -> None:
    """What is imported by now stays: the memory suite's collections of garbage needn't look through all of it again."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()
