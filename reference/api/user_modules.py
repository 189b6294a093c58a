"""Modules of the user's own, found in the current folder without hiding anybody else's."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_user_module(name: str) -> ModuleType:
    """Import a module that is installed or lies in the current folder, which is searched last.

    A folder that is searched first hides Python's own modules from everybody: a `code.py` in it ends pytest.

    Raises:
        ValueError: a module of this name lies in the current folder, and another one is found before it.
        Exception: whatever importing it raises.
    """
    here = Path.cwd()
    if not {str(here), ""} & set(sys.path):
        sys.path.append(str(here))
    importlib.invalidate_caches()
    top = name.partition(".")[0]
    candidates = (here / f"{top}.py", here / top / "__init__.py")
    mine = next((candidate for candidate in candidates if candidate.is_file()), None)
    if mine is not None:
        found = importlib.util.find_spec(top)
        origin = found.origin if found else None
        if origin is not None and origin != str(mine) and Path(origin).resolve() != mine.resolve():
            raise ValueError(f"{mine} has the name of another module, {origin}, which is found first: rename it")
    return importlib.import_module(name)
