"""What several test files use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tests.toys
from harness.data.idx import write_idx
from harness.training import RunConfig


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors in these tests; in the suites they aren't, for a user's own code may warn.

    And no card is seen, also by the processes that tests start, unless tests of cards are asked for: commands take the
    first one that they find.
    """
    config.addinivalue_line("filterwarnings", "error")
    if "gpu" not in config.getoption("markexpr").replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that no process is left alone with one of them in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins are made once per test run, apart from the user's; no data root leaks in."""
    monkeypatch.setenv("GAN_HARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("GAN_HARNESS_DATA", raising=False)


@pytest.fixture(autouse=True)
def own_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A user's module that a command imported here isn't found by the tests after it, nor by their processes."""
    path, base = list(sys.path), str(tmp_path_factory.getbasetemp())
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(base):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def fresh_toys() -> None:
    tests.toys.forget()


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A data root with forty random images in MNIST's layout."""
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for prefix, n in (("train", 40), ("t10k", 10)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", random.integers(0, 256, (n, 28, 28), np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", random.integers(0, 10, n, np.uint8))
    return tmp_path / "data"


@pytest.fixture
def toy_config() -> Callable[..., RunConfig]:
    """A small run of the toy, with changes."""

    def make(**changes: object) -> RunConfig:
        given: dict[str, object] = {
            "reference": "toy-grid",
            "seed": 0,
            "batch_size": 8,
            "steps": 8,
            "reference_modules": ("tests.toys",),
            "tensorboard": False,
            "pictures": False,
            "sample_every": 0,
            "checkpoint_every": 3,
            "threads": 1,
        }
        if "epochs" in changes:
            given["steps"] = None
        return RunConfig(**(given | changes))  # type: ignore[arg-type]

    return make
