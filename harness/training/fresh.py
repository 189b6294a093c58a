"""Processes that have imported PyTorch and done nothing else, and are there at once."""

from __future__ import annotations

import importlib
import multiprocessing
from multiprocessing.context import ForkServerContext

# What PyTorch imports with a process's first optimiser, which takes as long as PyTorch itself.
_WITH_AN_OPTIMISER = "torch._dynamo"


def import_what_trains() -> None:
    """Import what the first training of a process would: once, before it is forked."""
    importlib.import_module(_WITH_AN_OPTIMISER)


def fresh_processes() -> ForkServerContext:
    """The context of such processes: forked from a server that is an interpreter of its own. On Linux and macOS."""
    multiprocessing.set_forkserver_preload(["harness.training.run", _WITH_AN_OPTIMISER])
    return multiprocessing.get_context("forkserver")
