"""`gan-harness list`: every reference and its variants."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from harness.cli.app import command
from harness.records.options import Modules
from harness.reporting.console import new_console, new_table


@dataclass(frozen=True)
class ListOptions:
    """How to show them, and where else to look."""

    as_json: Annotated[bool, typer.Option("--json", help="Every card in full, as JSON.")] = False
    modules: Modules = ()


@command("list")
def list_references(options: ListOptions) -> None:
    """Show every reference and its variants.

    `idl` is the book *Inside Deep Learning*, whose chapter on GANs is document 004.

    Example: [bold]gan-harness list[/bold]
    """
    import reference

    for module in options.modules:
        reference.load_module(module)
    cards = [(spec, reference.get(spec).card) for spec in reference.specs()]
    if options.as_json:
        described = [_strict({"spec": spec, **dataclasses.asdict(card)}) for spec, card in cards]
        print(json.dumps(described, indent=1, allow_nan=False))
        return
    table = new_table("reference", "data", "batch", "epochs", "what it is")
    for spec, card in cards:
        variant = spec.partition("@")[2]
        title = f"{card.title}; {card.variants[variant]}" if variant else card.title
        table.add_row(spec, card.dataset, str(card.batch_size), str(card.epochs), title)
    new_console().print(table)


def _strict(value: Any) -> Any:
    """`value` without what JSON lacks: an open bound becomes null."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value
