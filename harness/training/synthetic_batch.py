"""A batch in a card's shape and range, drawn and not loaded: what pixels show plays no part in sizes and time."""

from __future__ import annotations

import torch
from torch import Tensor

from reference import Batch, Card


def synthetic_batch(card: Card, n: int, device: torch.device) -> Batch:
    """`n` samples in the card's shape and range: uniform values, uniform labels, a condition where there is one."""
    low, high = card.data_range

    def values() -> Tensor:
        return torch.rand(n, *card.data_shape, device=device).mul_(high - low).add_(low)

    data = values()
    labels = torch.randint(card.classes, (n,), device=device) if card.classes else None
    return Batch(data, labels, values() if card.condition else None)
