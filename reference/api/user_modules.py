"""Modules of the user's own, found in the current folder without hiding anybody else's."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_OURS = ("harness", "reference")


def import_user_module(name: str) -> ModuleType:
    """Import a module that is installed or lies in the current folder, which is searched last.

    A folder that is searched first hides Python's own modules from everybody: a `code.py` in it ends pytest.

    Raises:
        ValueError: a module of this name lies in the current folder, and another one is found before it; or one there
            is called like a package of this project, so that whoever imports it gets the other.
        Exception: whatever importing it raises.
    """
    here = Path.cwd()
    if not {str(here), ""} & set(sys.path):
        sys.path.append(str(here))
    importlib.invalidate_caches()
    for top in dict.fromkeys((name.partition(".")[0], *_OURS)):
        _check_unhidden(here, top)
    return importlib.import_module(name)


def source_digest(name: str) -> str:
    """The first 16 digits of a SHA-256 of a module's code: of its file, or of all Python files of its package.

    What it imports from elsewhere isn't in it.

    Raises:
        ValueError: there is no such module, or none that is made of files.
    """
    top = name.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise ValueError(f"there is no module {top!r}")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [(path.relative_to(folder).as_posix(), path) for folder in folders for path in folder.rglob("*.py")]
    if not folders and spec.origin is not None and Path(spec.origin).is_file():
        files = [(Path(spec.origin).name, Path(spec.origin))]
    if not files:
        raise ValueError(f"the module {top!r} has no file to tell it by")
    whole = hashlib.sha256()
    for relative, path in sorted(files):
        content = path.read_bytes()
        whole.update(f"{relative}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:16]


def _check_unhidden(here: Path, top: str) -> None:
    """Refuse a module or package of this name in the current folder, where another one is found before it."""
    candidates = (here / f"{top}.py", here / top / "__init__.py")
    mine = next((candidate for candidate in candidates if candidate.is_file()), None)
    if mine is None:
        return
    found = importlib.util.find_spec(top)
    origin = found.origin if found else None
    if origin is not None and origin != str(mine) and Path(origin).resolve() != mine.resolve():
        what = "has the name of a package of gan-harness" if top in _OURS else "has the name of another module"
        raise ValueError(f"{mine} {what}, {origin}, which is found first: rename it")
