"""Weights saved from a wrapped network: DataParallel and torch.compile put words of their own before each name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_PARALLEL, _COMPILED = "module.", "_orig_mod."


def unwrapped(tensors: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Tensors by the names that they have in the network itself; what was taken off is logged, with `what` it is.

    `module.` goes where every name begins with it; `_orig_mod.`, which parts that are compiled on their own also have,
    wherever it stands.
    """
    found = dict(tensors)
    taken: list[str] = []
    if not all(isinstance(name, str) for name in found):  # no network's names; who loads them says so
        return found
    if any(_COMPILED in name for name in found):
        found = {name.replace(_COMPILED, ""): tensor for name, tensor in found.items()}
        taken.append(f"{_COMPILED!r} (torch.compile)")
    while found and all(name.startswith(_PARALLEL) for name in found):
        found = {name.removeprefix(_PARALLEL): tensor for name, tensor in found.items()}
        taken.append(f"{_PARALLEL!r} (DataParallel)")
    if taken:
        logging.getLogger("gan_harness").warning(
            "%s was saved from a wrapped network: %s taken off its names", what, " and ".join(dict.fromkeys(taken))
        )
    return found
