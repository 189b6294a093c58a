"""What the documents print, from the cards alone, as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from harness.reporting.table import Cards
from reference import Card, OptimizerCard


def documented_tables(cards: Cards) -> dict[str, pd.DataFrame]:
    """What the documents print, and nothing else: from the cards alone."""
    systems = [card for _, card in cards]
    return {
        "claims": pd.DataFrame(
            {"reference": c.name, "place": claim.place, "claim": claim.statement, "documented": claim.documented}
            for c in systems
            for claim in c.claims
        ),
        "log_lines": pd.DataFrame(
            {"reference": c.name, "epoch": line.epoch, "step": line.step, **line.values}
            for c in systems
            for line in c.log_lines
        ),
        "memory": pd.DataFrame(
            {"reference": c.name, "batch size": figure.batch_size, "GPU memory, MB": figure.megabytes}
            for c in systems
            for figure in c.memory
        ),
        "durations": pd.DataFrame(
            {"reference": c.name, "hardware": d.hardware, "epochs": d.epochs, "minutes": d.minutes}
            for c in systems
            for d in c.durations
        ),
        "hyperparameters": pd.DataFrame(
            {
                "reference": c.name,
                "optimiser": _by_role(c, lambda o: o.kind),
                "learning rate": _by_role(c, lambda o: o.lr),
                "betas": _by_role(c, lambda o: ", ".join(map(str, o.betas or ()))),
                "weight decay": _by_role(c, lambda o: o.weight_decay),
                "batch": c.batch_size,
                "last batch": "dropped" if c.drop_last else "used",
                "epochs": c.epochs,
                "others": ", ".join(f"{name} {value:g}" for name, value in c.hyperparameters.items()),
            }
            for c in systems
        ),
        "deviations": pd.DataFrame(
            {"reference": c.name, "number": d.number, "kind": d.kind, "deviation": d.statement}
            for c in systems
            for d in c.deviations
        ),
    }


def _by_role(card: Card, of: Callable[[OptimizerCard], Any]) -> Any:
    """One setting of a card's optimiser; of each role's, where they differ from role to role."""
    if card.optimizer is None or isinstance(card.optimizer, OptimizerCard):
        return None if card.optimizer is None else of(card.optimizer)
    return "; ".join(f"{role} {of(optimizer)}" for role, optimizer in card.optimizer.items())
