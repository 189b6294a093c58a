"""`gan-harness suites`: check references anywhere, without a clone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from harness.cli.app import app

_ROOM = Path(__file__).parents[1]
_OWN_PLUGINS = ("harness.suite.plugin", "no:hypothesispytest")
_OF_PLACE = ("-c", "--rootdir", "--import-mode", "--shard", "--report-dir", "--time-limit", "--jobs", "--runs")
_EXPRESSIONS = ("-k", "-m")  # of pytest: their values are no paths


@app.command(
    "suites",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
def run_suites(context: typer.Context) -> None:
    """Check references with pytest, and write the tables: determinism, shapes, modes, quality, memory, loading.

    Takes everything that `pytest suites/` takes in a clone, such as --references 'my-*', --profile smoke, --seeds 3,
    --baseline FOLDER, -k modes; reports go to reports/latest in the current folder. --options lists them all. A file
    alone, such as test_modes.py, runs that suite; all of them: determinism, shapes, training_rules, training, modes,
    quality, samples, golden, latent, memory, speed, device, loading, metrics, mutants, closing.

    Exit codes: 0 all is well, 1 a check failed or something got worse, 2 wrong use, 10 inconclusive, 11 time was over.

    Example: [bold]gan-harness suites --reference-module my_gan --references 'my-*'[/bold]
    """
    sys.exit(call_suites(["--help" if argument == "--options" else argument for argument in context.args]))


def call_suites(arguments: Sequence[str]) -> int:
    """Run the suites in this process, as `pytest suites/` does in a clone; returns the exit code."""
    import pytest

    folder = suites_folder()
    # Their own settings, so that those of the user's repository are not asked for what they don't know.
    settings = ["-c", str(_ROOM / "suite" / "pytest.ini"), "--rootdir", str(Path.cwd()), "--import-mode", "importlib"]
    settings += ["-p", "no:hypothesispytest"]  # it imports itself whole, two seconds long
    selected = {argument: path for argument in arguments if (path := suite_at(argument, folder)) is not None}
    chosen = [] if selected else [str(folder)]
    arguments = [selected.get(argument, argument) for argument in arguments]
    # The plugin by name: pytest reads the options before it finds the suites' conftest.py.
    code = int(pytest.main(["-p", "harness.suite.plugin", *settings, *chosen, *arguments]))
    return 2 if code in (3, 4, 5) else code  # pytest's own: an internal error, wrong use, nothing collected


def asked_of_suites(arguments: Sequence[str]) -> list[str]:
    """Of pytest's arguments what says which checks to do and how: nothing of where, by whom, or which part."""
    left: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, _ = argument.partition("=")
        path, colons, test = argument.partition("::")
        if name in _OF_PLACE:
            if not equals:
                next(rest, None)
        elif argument == "-p":
            plugin = next(rest, "")
            left += [] if plugin in _OWN_PLUGINS else ["-p", plugin]
        elif argument == "--resume" or (Path(path).name == "suites" and (not left or left[-1] not in _EXPRESSIONS)):
            continue
        elif Path(path).name.startswith("test_") and path.endswith(".py"):
            left.append(f"{Path(path).name}{colons}{test}")
        else:
            left.append(argument)
    return left


def suites_folder() -> Path:
    """Where the suites lie: in the installed package, or beside it in a clone."""
    packaged = _ROOM / "suites"
    return packaged if packaged.is_dir() else _ROOM.parent / "suites"


def suite_at(argument: str, folder: Path) -> str | None:
    """The suite that an argument names, as `test_modes.py`, `test_modes.py::test_modes` or by its path; else None."""
    name, colons, test = argument.partition("::")
    path = Path(name)
    named = path.name.startswith("test_") and path.suffix == ".py" and (folder / path.name).is_file()
    if not named or (len(path.parts) > 1 and path.resolve().parent != folder.resolve()):
        return None
    return f"{folder / path.name}{colons}{test}"
