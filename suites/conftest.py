"""Check the options before anything is collected, so that a mistake is one line."""

from __future__ import annotations

import pytest

from harness.pytest_plugin import open_session


def pytest_configure(config: pytest.Config) -> None:
    open_session(config)
