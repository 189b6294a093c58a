"""A command is made of one dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.app import command
from harness.records.options import Modules


@dataclass(frozen=True)
class Options:
    name: Annotated[str, typer.Argument(help="A name.")]
    size: Annotated[int, typer.Option("-s", "--size", help="A size.")] = 3
    where: Annotated[Path | None, typer.Option(help="A path.")] = None
    modules: Modules = ()
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"--size must be 1 or more, not {self.size}")


@pytest.fixture
def seen() -> list[Options]:
    return []


@pytest.fixture
def app(seen: list[Options]) -> typer.Typer:
    own = typer.Typer()

    @command("go", own)
    def go(options: Options) -> None:
        """What it does."""
        seen.append(options)

    return own


def test_the_fields_are_the_command_line(app: typer.Typer, seen: list[Options]) -> None:
    words = ["x", "-s", "5", "--where", "a/b", "--reference-module", "one", "--reference-module", "two"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, ["y"]).exit_code == 0
    assert seen == [
        Options("x", 5, Path("a/b"), ("one", "two"), frozenset({"name", "size", "where", "modules"})),
        Options("y", given=frozenset({"name"})),
    ]


def test_help_says_what_the_fields_say_and_keeps_what_is_not_for_users(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert "What it does." in shown
    assert all(word in shown for word in ("A name.", "A size.", "--size", "--reference-module"))
    assert "--given" not in shown


def test_what_the_dataclass_refuses_is_refused(app: typer.Typer) -> None:
    found = CliRunner().invoke(app, ["x", "-s", "0"])
    assert isinstance(found.exception, ValueError)
    assert str(found.exception) == "--size must be 1 or more, not 0"
