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
        "cli": {"commands", "mistakes", "places"},
        "data": {"damaged_packs", "flat_memory", "packing_places"},
        "comparison": {"across_versions", "error_rates", "seeds_and_starts"},
        "evaluation": {"dinov2", "evaluated_images", "extractors", "published"},
        "loading": {"speed_up"},
        "memory": {"batch_size_on_a_card", "record_on_a_card"},
        "reporting": {"measured"},
        "suite": {"claims", "loading_suite", "memory_suites"},
        "training": {"ingredients", "killed"},
    }
    for file in sorted((ROOT / "tests").glob("*/test_*.py")):
        room, name = file.parent.name, file.stem.removeprefix("test_")
        if room != "reference" and name not in several.get(room, ()):
            assert (HARNESS / room / f"{name}.py").is_file(), f"tests/{room}/test_{name}.py tests what isn't there"


def sources() -> list[Path]:
    return [
        file
        for folder in ("harness", "reference", "suites", "tests", "benchmarks", "examples", "docs")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ]


def test_no_file_is_longer_than_400_lines_and_no_function_than_60() -> None:
    long = []
    for file in sources():
        text = file.read_text(encoding="utf-8")
        if text.count("\n") > 400:
            long.append(f"{file.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 60:
                long.append(f"{file.relative_to(ROOT)}, {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines")
    assert not long, "\n".join(long)


def test_lines_are_laid_out_by_hand_in_cards_alone() -> None:
    mark = "# fmt: " + "skip"
    found = [str(file.relative_to(ROOT)) for file in sources() if mark in file.read_text(encoding="utf-8")]
    assert not [name for name in found if not name.startswith("reference/cards/")]


def test_a_systems_step_begins_before_line_80_and_ls_shows_systems() -> None:
    files = [file for file in (ROOT / "reference").glob("*.py") if file.name != "__init__.py"]
    assert len(files) == 18
    for file in files:
        first = next(
            n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if "def step(" in line
        )
        assert first < 80, f"{file.name}: its step begins at line {first}"
        assert (ROOT / "reference" / "cards" / file.name).is_file()
