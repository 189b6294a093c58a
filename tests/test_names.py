"""One word for one thing: no public name is defined in two rooms, and every test lies where what it tests does."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
HARNESS = ROOT / "harness"


def rooms_by_name() -> dict[str, set[str]]:
    """The rooms in which each public name is defined; a command is called like what it does, and is left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in HARNESS.rglob("*.py"):
        room = file.relative_to(HARNESS).parts[0]
        if room in ("cli", "__init__.py", "pytest_plugin.py") or file.name == "make_weights.py":
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            for name in names:
                if not name.startswith("_"):
                    found[name].add(room)
    return found


def test_no_public_name_is_defined_in_two_rooms() -> None:
    twice = {name: sorted(rooms) for name, rooms in rooms_by_name().items() if len(rooms) > 1}
    assert not twice, twice
    assert len(rooms_by_name()) > 300, "it has looked"


def test_every_test_has_the_module_that_it_tests_or_says_what_else() -> None:
    """A file of tests that tests several modules, or a process, is named here."""
    several = {
        "cli": {"commands", "places"},
        "data": {"flat_memory"},
        "comparison": {"across_versions", "error_rates"},
        "evaluation": {"extractors"},
        "reporting": {"measured"},
        "suite": {"claims", "loading_suite", "memory_suites"},
        "training": {"ingredients", "killed"},
    }
    for file in sorted((ROOT / "tests").glob("*/test_*.py")):
        room, name = file.parent.name, file.stem.removeprefix("test_")
        if room != "reference" and name not in several.get(room, ()):
            assert (HARNESS / room / f"{name}.py").is_file(), f"tests/{room}/test_{name}.py tests what isn't there"
