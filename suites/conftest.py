"""The plugin belongs to these suites alone: its options would break other people's pytest."""

from __future__ import annotations

import gc

import pytest

from harness.training.fresh import import_what_trains

pytest_plugins = ["harness.suite.plugin"]


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is imported by now stays, and is shared with other processes; collections of garbage needn't look at it."""
    if session.items and not session.config.option.collectonly:
        import_what_trains()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()
