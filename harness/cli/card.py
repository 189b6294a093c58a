"""`gan-harness card`: what networks and optimisers are, as lines for a card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from harness.cli.app import command


@dataclass(frozen=True)
class CardOptions:
    """Whose."""

    target: Annotated[str, typer.Argument(help="A module that registers references, or a reference's name.")]


@command("card")
def card(options: CardOptions) -> None:
    """Print what each network is given and gives, its layers, parameters and optimiser: ready to paste into a card.

    It is what the code does, seen in one step: hold it against what your document says before you keep it.

    Example: [bold]gan-harness card my_package.my_gan[/bold]
    """
    import reference
    from harness.checks.card_text import card_lines, network_cards, optimizer_cards

    # No module has a hyphen in its name, and every reference of the harness has one.
    named = "-" in options.target or options.target.partition("@")[0] in reference.names()
    for spec in [options.target] if named else reference.load_module(options.target):
        chosen = reference.get(spec)
        print(f"# {spec}")
        print(card_lines(network_cards(chosen), optimizer_cards(chosen)))
