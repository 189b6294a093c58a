"""Processes that have imported PyTorch and done nothing else, and are there at once."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

# Also what PyTorch imports with a process's first optimiser: it takes as long as PyTorch itself.
_IMPORTED = ["harness.training", "torch._dynamo"]


def fresh_processes() -> ForkServerContext:
    """The context of such processes: forked from a server that is an interpreter of its own. On Linux and macOS."""
    multiprocessing.set_forkserver_preload(_IMPORTED)
    return multiprocessing.get_context("forkserver")
